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
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.settings import Settings
from tests.fixtures import LEARNING, toy_model
from tests.registry_fixtures import register

USERS, MOVIES = np.array([7, 11, 13, 17, 19, 23]), np.array([1, 2, 6, 32, 47, 50, 110, 150])


def register_toy(settings: Settings, folder: Path, family_name: str, size: int = 3) -> str:
    """A small model of the family, trained for two epochs and registered; its display name."""
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
    register(settings, folder, model, fitted.keras_model)
    return name


@pytest.mark.parametrize("family_name", LEARNING)
def test_the_child_stands_beside_its_parent(
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

    kept = bundle.load(registry.download_bundle(child, tmp_path / "child"))
    assert kept.card.trained == 1
    assert kept.index.users.tolist() == [*USERS.tolist(), 99]
    history = kept.histories[int(kept.index.user_rows(np.array([7]))[0])]
    rated = dict(
        zip(kept.index.movies[history.movies].tolist(), history.stars.tolist(), strict=True)
    )
    assert (rated[1], rated[47]) == (5.0, 3.5)
    new = kept.histories[int(kept.index.user_rows(np.array([99]))[0])]
    assert kept.index.movies[new.movies].tolist() == [2]
    scores = family(family_name).scorer(kept.arrays).score(np.arange(7), kept.histories)
    assert scores.shape == (7, 8)
    assert np.isfinite(scores).all()


def test_a_child_of_a_child_counts_on_and_the_parent_stays_as_it_was(
    settings: Settings, tmp_path: Path
) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    registry = open_registry(settings)
    before = bundle.load(registry.download_bundle(registry.resolve(parent), tmp_path / "before"))
    child = fine_tune(settings, parent, [7], [1], [5], validation_split=0, patience=1)
    grandchild = fine_tune(settings, child.name, [7], [2], [1], validation_split=0, patience=1)
    again = fine_tune(settings, parent, [7], [6], [1], validation_split=0, patience=1)
    assert grandchild.name == "moovier_emb_3_trained_2"
    assert again.name == child.name
    assert registry.resolve(child.name).number == again.version == 4
    after = bundle.load(registry.download_bundle(registry.resolve(parent), tmp_path / "after"))
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(after.arrays[name], array)


def test_a_pair_that_comes_twice_counts_once_with_its_last_rating(
    settings: Settings, tmp_path: Path
) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    tuned = fine_tune(settings, parent, [99, 99], [1, 1], [2, 4.5], validation_split=0, patience=1)
    registry = open_registry(settings)
    kept = bundle.load(
        registry.download_bundle(registry.resolve(str(tuned.version)), tmp_path / "child")
    )
    history = kept.histories[6]
    assert (history.movies.tolist(), history.stars.tolist()) == ([0], [4.5])


GOOD: dict[str, Any] = {"users": [7], "movies": [1], "ratings": [3.5]}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"users": [7, 8]}, "one length"),
        ({"users": [], "movies": [], "ratings": []}, "at least one"),
        ({"ratings": [5.5]}, "half steps; 5.5"),
        ({"ratings": [0]}, "half steps"),
        ({"ratings": [3.3]}, "half steps"),
        ({"ratings": [math.nan]}, "half steps; nan"),
        ({"users": [-1]}, "users must be positive"),
        ({"movies": [2**63]}, "movies must be positive"),
        ({"validation_split": 1}, "less than 1"),
        ({"validation_split": math.nan}, "less than 1"),
        ({"validation_split": -0.1}, "less than 1"),
        ({"patience": 0}, "patience"),
    ],
)
def test_input_that_makes_no_sense_is_refused_before_anything_else(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    nowhere = Settings(home=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")
    with pytest.raises(BadRequest, match=said):
        fine_tune(nowhere, "any", **(GOOD | change))


def test_when_no_movie_is_known_it_says_which(settings: Settings, tmp_path: Path) -> None:
    parent = register_toy(settings, tmp_path / "model", "emb")
    with pytest.raises(BadRequest, match="998, 999"):
        fine_tune(settings, parent, [7, 7], [998, 999], [3, 3])
    assert open_registry(settings).names() == [parent]


def test_an_unknown_parent_and_one_without_keras(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UnknownModel):
        fine_tune(settings, "moovier_emb_10_trained_0", **GOOD)
    tracking = open_tracking(settings)
    run_id = tracking.start("p", retraining="p", part="p")
    name = "moovier_popular_1_trained_0"
    folder = toy_model(tmp_path / "popular", name)
    tracking.register(folder, name, run_id=run_id, key="p", tags={})
    with pytest.raises(BundleError, match="no Keras model"):
        fine_tune(settings, name, **GOOD)
