"""The data of a retraining are parsed once, stored as a snapshot, and checked when read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data import columns
from moovier.data.ratings import Ratings
from moovier.errors import BundleError
from moovier.jobs import ingest
from moovier.jobs.dataset import Dataset, has_snapshot, keep_dataset, parse_dataset, read_dataset
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card
from moovier.settings import Settings
from tests.fixtures import toy_movielens


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", data=str(toy_movielens(tmp_path / "data")))


@pytest.fixture
def pulled(settings: Settings) -> ingest.Pulled:
    return ingest.pull(settings=settings)


def assert_equal(one: Dataset, other: Dataset) -> None:
    assert (one.facts, one.catalogue) == (other.facts, other.catalogue)
    np.testing.assert_array_equal(one.index.users, other.index.users)
    np.testing.assert_array_equal(one.index.movies, other.index.movies)
    for name in ("users", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(getattr(one.ratings, name), getattr(other.ratings, name))


def rows(ratings: Ratings) -> list[tuple[float, ...]]:
    columns = (ratings.users, ratings.movies, ratings.stars, ratings.timestamps)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def test_snapshot_is_read_unchanged_and_parsed_once(
    settings: Settings, pulled: ingest.Pulled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "snapshot"
    assert not has_snapshot(folder)
    kept = keep_dataset(folder, settings, pulled)
    assert has_snapshot(folder)
    assert {path.name for path in folder.iterdir()} == {
        *columns.files(),
        "columns.json",
        "snapshot.json",
    }
    parsed = parse_dataset(pulled, settings)
    assert (kept.facts, rows(kept.ratings)) == (parsed.facts, rows(parsed.ratings))
    assert (kept.facts.ratings, kept.facts.users, kept.facts.movies) == (600, 60, 40)
    monkeypatch.setattr(columns, "parsed", None)
    assert_equal(read_dataset(folder), kept)
    assert_equal(keep_dataset(folder, settings, pulled), kept)


@pytest.mark.parametrize("name", ["rated.npy", "catalogue.json", "snapshot.json"])
def test_altered_snapshot_is_rejected_and_written_again(
    settings: Settings, pulled: ingest.Pulled, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "snapshot"
    kept = keep_dataset(folder, settings, pulled)
    content = (folder / name).read_bytes()
    # A new file: the columns of the home are linked.
    (folder / name).unlink()
    (folder / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(BundleError):
        read_dataset(folder)
    assert_equal(keep_dataset(folder, settings, pulled), kept)
    assert_equal(read_dataset(folder), kept)


def test_snapshot_of_an_earlier_version_is_read(
    settings: Settings, pulled: ingest.Pulled, tmp_path: Path
) -> None:
    """Earlier versions stored the data as a popularity model."""
    kept = keep_dataset(tmp_path / "new", settings, pulled)
    card = Card(
        name="moovier_popular_1_trained_0", family="popular", params={"size": 1}, data=kept.facts
    )
    histories = kept.ratings.histories
    arrays = {"counts": histories.movie_counts()}
    folder = bundle.save(
        Bundle(card, kept.index, histories, kept.catalogue, arrays), tmp_path / "old"
    )
    assert has_snapshot(folder)
    assert_equal(read_dataset(folder), kept)
