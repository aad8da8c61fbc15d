"""`moovier ratings import` stores a file's ratings without the service, once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from moovier.errors import BadRequest
from moovier.feedback.store import FeedbackStore
from moovier.jobs.import_ratings import import_ratings
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register

# The toy's movies are "Movie 1 (1995)" and so on.
TABLE = "title,year,rating\nMovie 1,1995,9\nMovie 47,1995,4\nNothing Like It,1950,1\n"


@pytest.fixture
def file(settings: Settings, tmp_path: Path) -> Path:
    registry = open_registry(settings)
    registry.promote(register(settings, tmp_path, toy_bundle()), "for a test")
    path = tmp_path / "ratings.csv"
    path.write_text(TABLE)
    return path


def stored(settings: Settings) -> dict[int, float]:
    with contextlib.closing(FeedbackStore.open(settings.database)) as store:
        return {rating.movie_id: rating.stars for rating in store.of_user(5).ratings}


def test_file_is_imported_once(settings: Settings, file: Path) -> None:
    tried = import_ratings(file, 5, dry_run=True, settings=settings)
    assert (tried.stored, stored(settings)) == (2, {})
    first = import_ratings(file, 5, dry_run=False, settings=settings)
    assert (first.stored, first.unchanged, first.ignored) == (2, 0, 0)
    assert stored(settings) == {1: 4.5, 47: 2.0}
    second = import_ratings(file, 5, dry_run=False, settings=settings)
    assert (second.stored, second.unchanged) == (0, 2)


def test_missing_file_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"gone\.csv cannot be read: No such file"):
        import_ratings(tmp_path / "gone.csv", 5, dry_run=False, settings=settings)
