"""Versions are downloaded, tested and remembered as broken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from moovier.errors import BundleError, RegistryError, RegistryUnavailable
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.serving import bundle_loader
from moovier.serving.bundle_loader import BundleLoader, LoadedModel, RejectedModel, key_of, load
from tests import versions
from tests.fixtures import MOVIE_IDS, toy_bundle
from tests.unit.serving.toy_context import champion
from tests.unit.serving.toy_users import USERS

NAME = "moovier_popular_1_trained_0"


def version(number: int, name: str = NAME, **tags: str) -> Version:
    return versions.version(number, name, run_id=f"run{number}", **tags)


class Bundles:
    """A registry that delivers bundles, or raises errors, by version number."""

    def __init__(self, **answers: Bundle | Exception) -> None:
        self._answers = {int(name[1:]): answer for name, answer in answers.items()}
        self.downloads: list[tuple[int, str]] = []

    def load_bundle(self, version: Version, folder: Path) -> Bundle:
        self.downloads.append((version.number, folder.name))
        answer = self._answers[version.number]
        if isinstance(answer, Exception):
            raise answer
        return answer


def loader_of(registry: Bundles, folder: Path = Path("bundles")) -> BundleLoader:
    return BundleLoader(cast(Registry, registry), folder)


def unable(counts: list[float]) -> Bundle:
    """Return a bundle of five movies with other scores."""
    return replace(toy_bundle(), arrays={"counts": np.array(counts)})


def test_a_version_is_loaded_from_its_own_folder() -> None:
    registry = Bundles(v4=toy_bundle())
    model = loader_of(registry).fetch(version(4))
    assert (model.number, model.name, model.key) == (4, NAME, "4-run4")
    assert registry.downloads == [(4, "4-run4")]
    assert model.to_json() == {"number": 4, "name": NAME, "folder": "4-run4"}


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        ([1, 2, 3], "scores 3 movies, but its catalogue has 5"),
        ([1, 2, np.nan, 0, 0], "finite score"),
    ],
    ids=["too few", "not a number"],
)
def test_a_bundle_that_cannot_score_is_refused(
    tmp_path: Path, counts: list[float], problem: str
) -> None:
    with pytest.raises(BundleError, match=problem):
        loader_of(Bundles(v4=unable(counts))).fetch(version(4))
    bundle.save(unable(counts), tmp_path / "4-run4")
    with pytest.raises(BundleError, match=problem):
        load(tmp_path / "4-run4", 4, NAME)


def test_a_broken_version_is_not_downloaded_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    registry = Bundles(v4=BundleError("altered"), v5=toy_bundle())
    loader = loader_of(registry)
    for _ in range(3):
        with pytest.raises(BundleError, match="altered"):
            loader.fetch_unless_broken(version(4))
    assert loader.fetch_unless_broken(version(5)).number == 5
    assert [number for number, _ in registry.downloads] == [4, 5]
    now[0] += bundle_loader.BROKEN_FOR_S + 1
    with pytest.raises(BundleError):
        loader.fetch_unless_broken(version(4))
    assert [number for number, _ in registry.downloads] == [4, 5, 4]


@pytest.mark.parametrize("error", [RegistryUnavailable("away"), RegistryError("disk full")])
def test_a_version_that_cannot_be_delivered_now_is_tried_again(error: Exception) -> None:
    registry = Bundles(v4=error)
    loader = loader_of(registry)
    for _ in range(2):
        with pytest.raises(type(error)):
            loader.fetch_unless_broken(version(4))
    assert len(registry.downloads) == 2


def test_the_newest_usable_version_stands_in_for_a_champion() -> None:
    registry = Bundles(v5=BundleError("altered"), v4=toy_bundle(), v3=toy_bundle())
    stand_in = loader_of(registry).fetch_stand_in([version(5), version(4), version(3)])
    assert stand_in is not None
    assert (stand_in.number, stand_in.name) == (4, "popular")
    assert loader_of(registry).fetch_stand_in([version(5)]) is None
    assert loader_of(registry).fetch_stand_in([]) is None


def test_every_loaded_model_is_extended() -> None:
    loader = loader_of(Bundles(v4=toy_bundle()))
    loader.extend = lambda model: replace(model, key=f"{model.key}+new")
    assert loader.fetch(version(4)).key == "4-run4+new"


def test_extending_a_cache_leaves_models_that_were_replaced_meanwhile() -> None:
    loader, lock = loader_of(Bundles(v4=toy_bundle())), threading.Lock()
    model = loader.fetch(version(4))
    newer = replace(model, number=9)
    cache: dict[str, LoadedModel] = {"a": model, "b": model, "gone": model}

    def extend(old: LoadedModel) -> LoadedModel:
        assert not lock.locked(), "requests would wait"
        cache["b"] = newer
        cache.pop("gone", None)
        return replace(old, key="new")

    loader.extend = cast(Callable[[LoadedModel], LoadedModel], extend)
    loader.extend_cached(cache, lock)
    assert cache["a"].key == "new"
    assert cache["b"] is newer
    assert "gone" not in cache


def test_a_model_as_popular_gives_everybody_the_popular_movies() -> None:
    popular = champion().as_popular()
    assert (popular.name, popular.number, popular.key) == ("popular", 1, champion().key)
    lists = popular.recommender.recommend([USERS[0], 99], 17)
    counts = champion().recommender.user_recommender.counts
    rated = champion().recommender.bundle.histories[0].movies.tolist()
    index = champion().recommender.bundle.index
    for answer, left_out in zip(lists, (set(rated), set()), strict=True):
        rows = index.movie_rows(np.array([item.movie.id for item in answer.items])).tolist()
        assert set(rows) == set(range(17)) - left_out
        assert (np.diff(counts[rows]) <= 0).all()


def test_a_rejected_version_is_named_with_its_reason() -> None:
    rejected = RejectedModel.of(version(4), BundleError("altered"))
    assert str(rejected) == f"{NAME} (version 4): altered"
    assert rejected.key == key_of(version(4)) == "4-run4"


@pytest.mark.parametrize(("name", "title"), [(NAME, f"{NAME} (version 4)"), ("a/b", "version 4")])
def test_an_unusable_version_is_named_without_an_invalid_name(name: str, title: str) -> None:
    unusable = RejectedModel.unusable(version(4, name, complete=""))
    assert unusable.title == title
    assert str(unusable).startswith(f"{title}: the tag `")


def test_the_toy_bundle_scores_all_of_its_movies() -> None:
    model: Any = loader_of(Bundles(v4=toy_bundle())).fetch(version(4))
    assert model.recommender.bundle.index.movies.tolist() == list(MOVIE_IDS)
