"""Predictions of ``taste`` against sums over ratings, computed one by one."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.models import variational_mf
from moovier.models.variational_mf import HIGHEST, LOWEST
from moovier.models.variational_scoring import Predictor
from tests.unit.models.random_arrays import (
    N_MOVIES,
    N_OF_MOVIE,
    N_UNKNOWNS,
    random_history,
    taste_arrays,
)

#: The compiled functions, where they were built, and NumPy.
BOTH: tuple[Literal["built"] | None, ...] = ("built", None)
Doubles = NDArray[np.float64]


def arrays_with(passes: int = 3, n_users: int = 4, seed: int = 6) -> dict[str, Any]:
    random = np.random.default_rng(seed)
    taste = random.standard_normal((n_users, N_UNKNOWNS)).astype(np.float32)
    return {**taste_arrays(random), "passes": np.array(passes), "taste": taste}


def taste_by_definition(
    arrays: dict[str, Any], movies: list[int], stars: list[float]
) -> tuple[Doubles, Doubles]:
    """Return the taste, (D,), and each rating's contribution to it, (n, D).

    Taste and precision are solved for in turn, from the mean precision of all users on.
    """
    first, mu = N_UNKNOWNS - N_OF_MOVIE, float(arrays["mu"])
    noise, pseudo = float(arrays["noise"]), float(arrays["prior_ratings"])
    prior = np.linalg.inv(arrays["spread"].astype(float))
    gram, crosses = np.zeros((N_UNKNOWNS, N_UNKNOWNS)), []
    for movie, given in zip(movies, stars, strict=True):
        z = arrays["z"][movie].astype(float)
        cov = np.zeros((N_UNKNOWNS, N_UNKNOWNS))
        cov[first:, first:] = variational_mf.unpack(arrays["cov"][movie].astype(float))
        gram += np.outer(z, z) + cov
        crosses.append(z * (given - mu - z[first]) - cov[first])
    cross = np.sum(crosses, axis=0) if crosses else np.zeros(N_UNKNOWNS)
    steady: Any = 1 / noise
    for last in range(int(arrays["passes"])):
        unsure = np.linalg.inv(prior + steady * gram)
        taste = steady * unsure @ cross
        if last == int(arrays["passes"]) - 1:
            break
        errors = float(np.trace(gram @ (unsure + np.outer(taste, taste)))) - 2 * cross @ taste
        for movie, given in zip(movies, stars, strict=True):
            level = float(arrays["z"][movie][first])
            errors += (given - mu - level) ** 2 + float(arrays["cov"][movie][0])
        steady = (len(movies) + pseudo) / (errors + pseudo * noise)
    parts = [steady * unsure @ each for each in crosses]
    return taste, np.array(parts).reshape(-1, N_UNKNOWNS)


def stars_by_definition(arrays: dict[str, Any], taste: Doubles) -> Doubles:
    """Return the clipped prediction of each movie."""
    z = arrays["z"].astype(float)
    raw = z @ taste + z[:, N_UNKNOWNS - N_OF_MOVIE] + float(arrays["mu"])
    return np.asarray(np.clip(raw, LOWEST, HIGHEST))


@pytest.mark.parametrize("compiled", BOTH)
@pytest.mark.parametrize("passes", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 6])
def test_a_visitors_stars_follow_the_definition(
    n: int, passes: int, compiled: Literal["built"] | None
) -> None:
    arrays, history = arrays_with(passes), random_history(np.random.default_rng(n), n)
    taste, _ = taste_by_definition(arrays, history.movies.tolist(), history.stars.tolist())
    predicted = Predictor(arrays, compiled).fold_in(history.movies, history.stars)
    assert predicted.dtype == np.float32
    np.testing.assert_allclose(predicted, stars_by_definition(arrays, taste), atol=1e-4)


@pytest.mark.parametrize("compiled", BOTH)
def test_a_few_movies_get_the_same_stars_as_among_all(compiled: Literal["built"] | None) -> None:
    predictor, history = (
        Predictor(arrays_with(), compiled),
        random_history(np.random.default_rng(1), 5),
    )
    everything = predictor.fold_in(history.movies, history.stars)
    for targets in (np.array([11, 2, 11]), slice(3, 9)):
        few = predictor.fold_in(history.movies, history.stars, targets)
        np.testing.assert_allclose(few, everything[targets], rtol=1e-5)
    nothing = np.zeros(0, dtype=np.int64)
    assert predictor.fold_in(history.movies, history.stars, nothing).shape == (0,)


def test_contributions_follow_the_definition_and_add_up_to_the_taste() -> None:
    arrays, history = arrays_with(), random_history(np.random.default_rng(2), 6)
    taste, shares = taste_by_definition(arrays, history.movies.tolist(), history.stars.tolist())
    targets = np.array([3, 9, 0])
    parts = Predictor(arrays).explain(history.movies, history.stars, targets)
    assert parts.shape == (3, 6)
    np.testing.assert_allclose(parts, arrays["z"][targets] @ shares.T, atol=1e-5)
    np.testing.assert_allclose(parts.sum(axis=1), arrays["z"][targets] @ taste, atol=1e-4)


def test_known_users_and_pairs_get_the_stars_of_the_learnt_taste() -> None:
    arrays = arrays_with()
    predictor = Predictor(arrays)
    for user in range(4):
        expected = stars_by_definition(arrays, arrays["taste"][user].astype(float))
        np.testing.assert_allclose(predictor.known(user), expected, atol=1e-4)
    users, movies = np.array([3, 0, 3, 2]), np.array([0, N_MOVIES - 1, 6, 2])
    each = [predictor.known(user)[movie] for user, movie in zip(users, movies, strict=True)]
    np.testing.assert_allclose(predictor.pairs(users, movies), each, rtol=1e-5)


def test_no_pairs_give_no_stars() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert Predictor(arrays_with()).pairs(nothing, nothing).shape == (0,)


@pytest.mark.parametrize("compiled", BOTH)
@pytest.mark.parametrize(("mean", "bound"), [(90.0, HIGHEST), (-90.0, LOWEST)])
def test_predictions_stay_on_the_scale_of_stars(
    mean: float, bound: float, compiled: Literal["built"] | None
) -> None:
    predictor = Predictor({**arrays_with(), "mu": np.array(mean, np.float32)}, compiled)
    nothing = np.zeros(0, dtype=np.int64)
    np.testing.assert_array_equal(predictor.known(0), bound)
    np.testing.assert_array_equal(predictor.pairs(np.array([1, 2]), np.array([0, 5])), bound)
    np.testing.assert_array_equal(predictor.fold_in(nothing, nothing), bound)


@cache
def fitted() -> tuple[dict[str, Any], NDArray[np.int64], NDArray[np.int64], Doubles]:
    """Return a converged fit of two groups with opposite tastes, and its ratings."""
    random = np.random.default_rng(0)
    users, movies = np.nonzero(random.random((9, 14)) < 0.5)
    same = (users + movies) % 2 == 0
    stars = np.clip(np.where(same, 4.0, 2.0) + random.normal(0, 0.3, users.size), 0.5, 5)
    features = np.ones((14, 1))
    settings = variational_mf.Settings(
        size=3, sweeps=40, passes=40, factor_sd=0.4, prior_people=3.0, prior_ratings=5.0
    )
    arrays = variational_mf.fit(users, movies, stars, 9, 14, features, settings)
    return arrays, users, movies, stars


@pytest.mark.parametrize("user", [0, 5])
def test_a_visitor_with_a_users_ratings_gets_the_users_prediction(user: int) -> None:
    arrays, users, movies, stars = fitted()
    predictor, mine = Predictor(arrays), users == user
    folded = predictor.fold_in(movies[mine], stars[mine])
    np.testing.assert_allclose(folded, predictor.known(user), atol=0.02)
