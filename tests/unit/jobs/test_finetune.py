from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ratings
from moovier.errors import BadRequest, BundleError, UnknownModel
from moovier.jobs.finetune import fine_tune
from moovier.jobs.registration import open_registry, open_tracking
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.settings import Settings
from tests.fixtures import LEARNING, toy_model
from tests.registry_fixtures import register

USERS, MOVIES = np.array([7, 11, 13, 17, 19, 23]), np.array([1, 2, 6, 32, 47, 50, 110, 150])


def register_toy(
    settings: Settings,
    folder: Path,
    family_name: str,
    size: int = 3,
    *,
    with_keras_model: bool = True,
) -> str:
    """Train a small model of the family for two epochs and register it; return its name."""
    random = np.random.default_rng(1)
    rated = np.argwhere(random.random((USERS.size, MOVIES.size)) < 0.5)
    ratings = Ratings(
        rated[:, 0],
        rated[:, 1],
        random.integers(1, 11, len(rated)).astype(np.float32) / np.float32(2),
        np.arange(len(rated)),
        USERS.size,
        MOVIES.size,
    )
    kind = family(family_name)
    params = kind.hyper_parameters(size=size)
    catalogue = Catalogue.of(Movie(int(i), f"Movie {i}", 1995, (), None, None) for i in MOVIES)
    fitted = kind.fit(ratings, params, FitContext(catalogue, seed=0, epochs=2))
    facts = DataFacts(
        name="toy", hash="toy.dir", synthetic=True, ratings=len(rated), users=6, movies=8
    )
    name = display_name(family_name, size, 0)
    card = Card(name=name, family=family_name, params=params.model_dump(mode="json"), data=facts)
    model = Bundle(
        card,
        Index(USERS, MOVIES),
        ratings.histories,
        catalogue,
        fitted.arrays,
    )
    register(settings, folder, model, fitted.keras_model if with_keras_model else None)
    return name


@pytest.mark.parametrize("family_name", LEARNING)
def test_child_is_registered_beside_its_parent(
    settings: Settings, tmp_path: Path, family_name: str
) -> None:
    parent = register_toy(settings, tmp_path / "model", family_name)
    tuned = fine_tune(
        settings, parent, [7, 99, 99, 7], [1, 2, 999, 47], [5, 0.5, 4, 3.5], patience=1
    )
    assert tuned.name == f"moovier_{family_name}_3_trained_1"
    assert tuned.skipped == [999]
    registry = open_registry(settings)
    assert registry.names() == [tuned.name, parent]
    child = registry.resolve(tuned.name)
    assert (child.number, child.parent) == (tuned.version, parent)
    assert child.tags["parent_version"] == "1"

    model = registry.load_bundle(child, tmp_path / "child")
    assert model.card.trained == 1
    assert model.index.users.tolist() == [*USERS.tolist(), 99]
    history = model.histories[int(model.index.user_rows(np.array([7]))[0])]
    rated = dict(
        zip(model.index.movies[history.movies].tolist(), history.stars.tolist(), strict=True)
    )
    assert (rated[1], rated[47]) == (5.0, 3.5)
    new = model.histories[int(model.index.user_rows(np.array([99]))[0])]
    assert model.index.movies[new.movies].tolist() == [2]
    scores = family(family_name).scorer(model.arrays).score(np.arange(7), model.histories)
    assert scores.shape == (7, 8)
    assert np.isfinite(scores).all()


def test_grandchild_is_named_and_the_parent_does_not_change(
    settings: Settings, tmp_path: Path
) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    registry = open_registry(settings)
    before = registry.load_bundle(registry.resolve(parent), tmp_path / "before")
    child = fine_tune(settings, parent, [7], [1], [5], validation_split=0, patience=1)
    grandchild = fine_tune(settings, child.name, [7], [2], [1], validation_split=0, patience=1)
    second_child = fine_tune(settings, parent, [7], [6], [1], validation_split=0, patience=1)
    assert grandchild.name == "moovier_emb_3_trained_2"
    assert second_child.name == child.name
    assert registry.resolve(child.name).number == second_child.version == 4
    after = registry.load_bundle(registry.resolve(parent), tmp_path / "after")
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)


def test_last_rating_of_a_repeated_pair_counts(settings: Settings, tmp_path: Path) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    tuned = fine_tune(settings, parent, [99, 99], [1, 1], [2, 4.5], validation_split=0, patience=1)
    registry = open_registry(settings)
    model = registry.load_bundle(registry.resolve(str(tuned.version)), tmp_path / "child")
    history = model.histories[6]
    assert (history.movies.tolist(), history.stars.tolist()) == ([0], [4.5])


GOOD: dict[str, Any] = {"users": [7], "movies": [1], "ratings": [3.5]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": [7, 8]}, "same length"),
        ({"users": [], "movies": [], "ratings": []}, "at least one"),
        ({"ratings": [5.5]}, "steps of 0.5, not 5.5"),
        ({"ratings": [0]}, "steps of 0.5"),
        ({"ratings": [3.3]}, "steps of 0.5"),
        ({"ratings": [math.nan]}, "steps of 0.5, not nan"),
        ({"users": [-1]}, "users must be positive 64-bit numbers, not -1"),
        ({"movies": [2**63]}, "movies must be positive"),
        ({"validation_split": 1}, "less than 1"),
        ({"validation_split": math.nan}, "less than 1"),
        ({"validation_split": -0.1}, "less than 1"),
        ({"patience": 0}, "patience"),
    ],
)
def test_invalid_input_is_rejected_before_the_registry_is_used(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    offline = Settings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    with pytest.raises(BadRequest, match=message):
        fine_tune(offline, "any", **(GOOD | change))


def test_unknown_movies_are_listed_in_the_error(settings: Settings, tmp_path: Path) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    with pytest.raises(BadRequest, match="998, 999"):
        fine_tune(settings, parent, [7, 7], [998, 999], [3, 3])
    assert open_registry(settings).names() == [parent]


def test_unknown_parent_is_reported(settings: Settings) -> None:
    with pytest.raises(UnknownModel):
        fine_tune(settings, "moovier_emb_10_trained_0", **GOOD)


def test_popularity_model_cannot_be_fine_tuned(settings: Settings, tmp_path: Path) -> None:
    tracking = open_tracking(settings)
    run_id = tracking.start("p", retraining="p", part="p")
    name = "moovier_popular_1_trained_0"
    folder = toy_model(tmp_path / "popular", name)
    tracking.register(folder, name, run_id=run_id, key="p")
    with pytest.raises(BadRequest, match="cannot be fine-tuned"):
        fine_tune(settings, name, **GOOD)


@pytest.mark.parametrize(("family_name", "reads_it"), [("ease", False), ("emb", True)])
def test_only_families_that_read_the_keras_model_download_it(
    settings: Settings, tmp_path: Path, family_name: str, reads_it: bool
) -> None:
    parent = register_toy(settings, tmp_path / "model", family_name)
    version = open_registry(settings).resolve(parent)
    folder = settings.path("parents", f"{version.number}-{version.run_id}")
    for _ in range(2):
        fine_tune(settings, parent, patience=1, **GOOD)
        files = sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")
        assert files == ["bundle", *(["model.keras"] if reads_it else [])]


def test_registered_parent_without_its_keras_model_is_reported(
    settings: Settings, tmp_path: Path
) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb", with_keras_model=False)
    with pytest.raises(BundleError, match="no Keras model"):
        fine_tune(settings, parent, **GOOD)
