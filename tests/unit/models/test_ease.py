"""EASE: B against a naive inverse, and scores against sums over B."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.data.ratings import History, Ratings
from moovier.data.split import PAUSE_S
from moovier.models import ease
from moovier.models.ease import EaseFamily, EaseParams, EaseScorer
from moovier.models.family import FitContext
from tests.contracts import toy

N_MOVIES = 11


def random_ratings(n_users: int, seed: int = 0) -> Ratings:
    """Return users with 2 to 7 ratings, days apart; movie 10 has no rating."""
    random = np.random.default_rng(seed)
    movies = [random.permutation(N_MOVIES - 1)[: random.integers(2, 8)] for _ in range(n_users)]
    users = np.repeat(np.arange(n_users), [len(row) for row in movies])
    stars = (random.integers(1, 11, users.size) / 2).astype(np.float32)
    moments = np.arange(users.size) * 2 * PAUSE_S
    return Ratings(users, np.concatenate(movies), stars, moments, n_users, N_MOVIES)


def naive_b(ratings: Ratings, params: EaseParams) -> NDArray[np.float64]:
    """Return B over all movies by the formula of the paper, with an explicit inverse."""
    x = np.zeros((ratings.n_users, N_MOVIES))
    for user in range(ratings.n_users):
        history = ratings.histories[user]
        for place, (movie, stars) in enumerate(zip(history.movies, history.stars, strict=True)):
            later = len(history) - 1 - place
            x[user, movie] = (stars / 5) ** params.star_power * 0.5 ** (later / params.half_life)
    p = np.linalg.inv(x.T @ x + params.lambda_ * np.eye(N_MOVIES))
    b = np.empty((N_MOVIES, N_MOVIES))
    for row in range(N_MOVIES):
        for column in range(N_MOVIES):
            b[row, column] = 0.0 if row == column else -p[row, column] / p[column, column]
    return b


@pytest.mark.parametrize("n_users", [4, 40], ids=["fewer users than movies", "more users"])
def test_b_equals_a_naive_inverse(n_users: int) -> None:
    ratings = random_ratings(n_users)
    params = EaseParams(size=1, lambda_=3.0, star_power=1.5, half_life=4.0)
    expected = naive_b(ratings, params)
    assert not np.allclose(expected, expected.T, atol=1e-3), "a transposed B must be noticed"
    b = ease.solve(ratings.histories, np.arange(N_MOVIES), params)
    np.testing.assert_allclose(b, expected, rtol=1e-4, atol=1e-6)


def test_b_covers_a_part_of_the_movies() -> None:
    ratings = random_ratings(40)
    params = EaseParams(lambda_=3.0, star_power=0.0, half_life=1e9)
    covered = np.array([1, 4, 9])
    inside = ratings.take(np.isin(ratings.movies, covered))
    x = np.zeros((40, N_MOVIES))
    x[inside.users, inside.movies] = 1.0
    p = np.linalg.inv(x[:, covered].T @ x[:, covered] + 3.0 * np.eye(3))
    expected = -p / np.diag(p)
    np.fill_diagonal(expected, 0.0)
    b = ease.solve(ratings.histories, covered, params)
    np.testing.assert_allclose(b, expected, rtol=1e-6)


def test_scores_are_the_weighted_history_times_b() -> None:
    scorer = EaseScorer(arrays())
    history = History(
        np.array([7, 2, 5]), np.array([5.0, 2.5, 4.0], np.float32), np.array([0, 60, 9 * PAUSE_S])
    )
    # Stars to the power 2; the last visit has one rating, so the first visit halves by 2^(-1/3).
    weights = np.array([1.0, 0.25, 0.64]) * 0.5 ** (np.array([1, 1, 0]) / 3)
    b = arrays()["weights"].astype(float)
    # Movie 7 is not covered.
    expected = weights[1] * b[0] + weights[2] * b[2]
    scores = scorer.fold_in(history)
    np.testing.assert_allclose(scores[[2, 4, 5]], expected, rtol=1e-5)
    parts = scorer.explain(history, np.array([4, 7]))
    np.testing.assert_allclose(
        parts[0], [0.0, weights[1] * b[0, 1], weights[2] * b[2, 1]], rtol=1e-5
    )
    np.testing.assert_array_equal(parts[1], [0.0, 0.0, 0.0])


def test_movies_outside_b_rank_behind_by_popularity() -> None:
    scores = EaseScorer(arrays()).fold_in(toy.history(2))
    outside = np.setdiff1d(np.arange(8), [2, 4, 5])
    assert scores[outside].max() < scores[[2, 4, 5]].min()
    by_count = outside[np.argsort(-arrays()["counts"][outside], kind="stable")]
    assert (np.diff(scores[by_count]) < 0).all()


def test_a_history_without_covered_movies_gets_popular_movies() -> None:
    scores = EaseScorer(arrays()).fold_in(toy.history(7))
    assert np.argsort(-scores).tolist() == np.argsort(-arrays()["counts"]).tolist()


def arrays() -> dict[str, NDArray[Any]]:
    """Return a B over movies 2, 4 and 5 of eight, and the asking parameters."""
    return {
        "weights": np.array([[0.0, 0.5, -0.25], [0.125, 0.0, 1.0], [2.0, 0.75, 0.0]], np.float16),
        "covered": np.array([2, 4, 5]),
        "counts": np.array([3, 9, 5, 1, 8, 7, 6, 2]),
        "asking": np.array([2.0, 3.0]),
    }


def test_weights_of_another_shape_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(3, 3\), but there are 2 covered movies"):
        EaseScorer(arrays() | {"covered": np.array([2, 4])})


def test_frequent_movies_have_enough_ratings() -> None:
    counts = np.array([2, 0, 5, 3, 5, 1])
    assert ease.frequent_movies(counts, 3).tolist() == [2, 3, 4]
    assert ease.frequent_movies(counts, 9).tolist() == [0, 2, 3, 4, 5], "all rated movies"


def test_frequent_movies_are_at_most_the_most_rated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "MOST_MOVIES", 2)
    assert ease.frequent_movies(np.array([4, 1, 9, 4, 9]), 1).tolist() == [2, 4]
    monkeypatch.setattr(ease, "MOST_MOVIES", 3)
    assert ease.frequent_movies(np.array([4, 1, 9, 4, 9]), 1).tolist() == [0, 2, 4]


def test_the_keras_model_multiplies_by_b() -> None:
    params = EaseParams(size=1, lambda_=1.0)
    fitted = EaseFamily().fit(toy.ratings(), params, FitContext(toy.catalogue(), seed=0, epochs=1))
    n_covered = fitted.arrays["covered"].size
    inputs = np.random.default_rng(0).random((3, n_covered)).astype(np.float32)
    expected = inputs @ fitted.arrays["weights"].astype(np.float32)
    outputs = np.asarray(fitted.keras_model.predict_on_batch(inputs))
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-5)
