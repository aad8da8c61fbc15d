"""NeuMF: predictions against a naive network, fold-in by prototypes, new users."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import History
from moovier.models import neumf
from moovier.models.family import FineTuneRequest, FitContext
from moovier.models.neumf import NeuMFFamily, NeuMFParams, NeuMFScorer
from tests.contracts import toy

N_USERS, N_MOVIES = 40, 11


def random_arrays() -> dict[str, Any]:
    """Return arrays of size 3 with dense layers of 5 and 4 units."""
    random = np.random.default_rng(0)
    shapes = {
        "user_gmf": (N_USERS, 3),
        "user_mlp": (N_USERS, 3),
        "movie_gmf": (N_MOVIES, 3),
        "movie_mlp": (N_MOVIES, 3),
        "kernel_0": (6, 5),
        "bias_0": (5,),
        "kernel_1": (5, 4),
        "bias_1": (4,),
        "out_kernel": (7, 1),
        "out_bias": (1,),
    }
    arrays = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return arrays | {"prototypes": np.arange(0, N_USERS, 2)}


ARRAYS = random_arrays()
SCORER = NeuMFScorer(ARRAYS)


def naive_stars(gmf: Any, mlp: Any, movie: int) -> float:
    """Return the network's output for one movie, layer by layer."""
    hidden = np.concatenate([mlp, ARRAYS["movie_mlp"][movie]])
    for layer in (0, 1):
        hidden = np.maximum(hidden @ ARRAYS[f"kernel_{layer}"] + ARRAYS[f"bias_{layer}"], 0)
    joined = np.concatenate([gmf * ARRAYS["movie_gmf"][movie], hidden])
    logit = float(joined @ ARRAYS["out_kernel"][:, 0] + ARRAYS["out_bias"][0])
    return 0.5 + 4.5 / (1 + math.exp(-logit))


def test_scores_equal_a_naive_network() -> None:
    users = np.array([7, 0, 39])
    expected = [
        [
            naive_stars(ARRAYS["user_gmf"][user], ARRAYS["user_mlp"][user], movie)
            for movie in range(N_MOVIES)
        ]
        for user in users
    ]
    scores = SCORER.score(users, toy.ratings().histories)
    np.testing.assert_allclose(scores, expected, rtol=1e-4)


def test_pairs_equal_the_scores_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    users, movies = random.integers(0, N_USERS, 25), random.integers(0, N_MOVIES, 25)
    expected = SCORER.score(users, toy.ratings().histories)[np.arange(25), movies]
    for pairs in (7, 100):
        monkeypatch.setattr(neumf, "PAIRS", pairs)
        np.testing.assert_allclose(SCORER.stars(users, movies), expected, rtol=1e-4)


def test_fold_in_averages_the_nearest_prototypes() -> None:
    history = History(
        np.array([3, 9, 1]), np.array([4.5, 1.0, 3.0], np.float32), np.array([0, 1, 2])
    )
    prototypes = ARRAYS["prototypes"]
    errors = []
    for user in prototypes:
        predicted = [
            naive_stars(ARRAYS["user_gmf"][user], ARRAYS["user_mlp"][user], int(movie))
            for movie in history.movies
        ]
        errors.append(np.abs(np.array(predicted) - history.stars).mean())
    # One in ten of 20 prototypes.
    nearest = prototypes[np.argsort(errors)[:2]]
    gmf, mlp = (ARRAYS[name][nearest].mean(axis=0) for name in ("user_gmf", "user_mlp"))
    expected = [naive_stars(gmf, mlp, movie) for movie in range(N_MOVIES)]
    np.testing.assert_allclose(SCORER.fold_in(history), expected, rtol=1e-4)


def test_an_empty_history_gets_the_mean_of_all_prototypes() -> None:
    rows = ARRAYS["prototypes"]
    gmf, mlp = (ARRAYS[name][rows].mean(axis=0) for name in ("user_gmf", "user_mlp"))
    expected = [naive_stars(gmf, mlp, movie) for movie in range(N_MOVIES)]
    np.testing.assert_allclose(SCORER.fold_in(toy.history()), expected, rtol=1e-4)


def test_an_untrained_model_predicts_the_mean_stars() -> None:
    model = neumf.build(6, 9, NeuMFParams(size=4), mean_stars=4.2)
    stars = np.asarray(model.predict_on_batch([np.arange(6), np.arange(6)]))
    np.testing.assert_allclose(stars, 4.2, atol=0.1)


def test_fine_tuning_appends_vectors_of_new_users() -> None:
    params = NeuMFParams(size=3, dense_units=(5,), batch_size=32, epochs=1)
    parent = NeuMFFamily().fit(toy.ratings(), params, FitContext(toy.catalogue(), 0, epochs=1))
    rows = [(toy.N_USERS + 1, movie, 5.0, 90_000 + movie) for movie in range(6)]
    batch = toy.ratings_of(rows, toy.N_USERS + 2)
    tuned = NeuMFFamily().fine_tune(
        parent,
        params,
        FineTuneRequest(toy.catalogue(), toy.N_USERS, batch, batch, 0.0, patience=1, seed=0),
    )
    before, after = parent.arrays["user_gmf"], tuned.arrays["user_gmf"]
    assert after.shape == (toy.N_USERS + 2, 3)
    np.testing.assert_allclose(after[: toy.N_USERS], before, rtol=1e-5)
    np.testing.assert_allclose(after[toy.N_USERS], before.mean(axis=0), rtol=1e-5)
    assert not np.allclose(after[toy.N_USERS + 1], before.mean(axis=0), rtol=1e-3)
    assert tuned.arrays["movie_gmf"].shape == (toy.N_MOVIES, 3)
