"""ALS minimises its sum, and this machine's training can be replaced by that of a cluster."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.models import als_training
from moovier.models.als import AlsFamily
from moovier.models.als_scoring import AlsParams, AlsScorer
from moovier.models.factorisation import Factorisation
from moovier.models.family import FineTuneRequest, FitContext
from tests.contracts import toy
from tests.unit.models.random_arrays import random_ratings

PARAMS = AlsParams(size=3, least=2, iterations=8, alpha=4.0, reg=0.1, star_power=1.5)
RATINGS = random_ratings(3, n_users=15, n_movies=11)
COVERED = np.array([0, 1, 2, 4, 5, 6, 7, 8, 10])


def dense() -> NDArray[np.float64]:
    """Return the strength of each rating of a covered movie, (n_users, n_covered), 0 if none."""
    strengths = np.zeros((RATINGS.n_users, RATINGS.n_movies))
    strengths[RATINGS.users, RATINGS.movies] = 4.0 * (RATINGS.stars / 5.0) ** 1.5
    return strengths[:, COVERED]


def loss(movies: Floats) -> float:
    """Return the sum that ALS minimises, with the best factors of the users."""
    strengths = dense()
    y = movies.astype(np.float64)
    total = 0.0
    for row in strengths:
        rated, n_rated = row > 0, np.count_nonzero(row)
        if not n_rated:
            continue
        confidence = 1.0 + row
        left = y.T @ (confidence[:, None] * y) + 0.1 * n_rated * np.eye(y.shape[1])
        x = np.linalg.solve(left, y.T @ (confidence * rated))
        total += float(confidence @ (rated - y @ x) ** 2 + 0.1 * n_rated * (x @ x))
    n_of_movies = np.count_nonzero(strengths, axis=0)
    return total + float(0.1 * n_of_movies @ (y**2).sum(axis=1))


def factors(iterations: int, seed: int = 0) -> Floats:
    options = als_training.options_of(PARAMS, seed)
    return als_training.factorise(
        RATINGS.histories, COVERED, replace(options, iterations=iterations)
    )


def test_training_approaches_a_minimum_of_the_sum() -> None:
    losses = [loss(factors(iterations)) for iterations in (1, 2, 4, 100)]
    assert losses == sorted(losses, reverse=True)
    best = factors(100)
    for cell in ((0, 0), (3, 1), (8, 2)):
        for step in (-0.02, 0.02):
            moved = best.copy()
            moved[cell] += step
            assert loss(moved) > losses[-1]


def test_a_cluster_computes_the_factors_of_the_frequent_movies() -> None:
    asked: list[tuple[Histories, Ints, Factorisation]] = []

    def compute(histories: Histories, covered: Ints, options: Factorisation) -> Floats:
        asked.append((histories, covered, options))
        return np.full((covered.size, options.size), 0.5, dtype=np.float32)

    context = FitContext(toy.catalogue(), seed=9, epochs=1, factorise=compute)
    fitted = AlsFamily().fit(RATINGS, PARAMS, context)
    ((histories, covered, options),) = asked
    assert histories.movies.size == len(RATINGS)
    assert (histories.movie_counts()[covered] >= 2).all()
    assert options == Factorisation(3, 8, alpha=4.0, reg=0.1, star_power=1.5, seed=9)
    assert (fitted.arrays["factors"] == 0.5).all()
    np.testing.assert_allclose(fitted.arrays["gram"], 0.25 * covered.size)


def test_fine_tuning_changes_the_movies_of_the_batch_only() -> None:
    kind = AlsFamily()
    parent = kind.fit(RATINGS, PARAMS, FitContext(toy.catalogue(), seed=0, epochs=1))
    n = RATINGS.n_users
    batch = Ratings(
        np.array([n, n, 0]),
        np.array([1, 5, 7]),
        np.full(3, 5.0, dtype=np.float32),
        np.arange(3),
        n + 1,
        RATINGS.n_movies,
    )
    keep = ~((RATINGS.users == 0) & (RATINGS.movies == 7))
    merged = Ratings(
        np.concatenate([RATINGS.users[keep], batch.users]),
        np.concatenate([RATINGS.movies[keep], batch.movies]),
        np.concatenate([RATINGS.stars[keep], batch.stars]),
        np.concatenate([RATINGS.timestamps[keep], batch.timestamps]),
        n + 1,
        RATINGS.n_movies,
    )
    request = FineTuneRequest(toy.catalogue(), n, batch, merged, 0.0, 1, seed=0)
    tuned = kind.fine_tune(parent, PARAMS, request)
    before, after = parent.arrays["factors"], tuned.arrays["factors"]
    changed = tuned.arrays["covered"][np.abs(after - before).max(axis=1) > 1e-6]
    assert set(changed.tolist()) == {1, 5, 7}
    assert isinstance(kind.scorer(tuned.arrays), AlsScorer)
    np.testing.assert_array_equal(parent.arrays["factors"], before)


def test_no_rating_of_a_covered_movie_gives_factors_of_zero() -> None:
    options = als_training.options_of(PARAMS, 0)
    nobody = Histories(
        np.array([0, 0]),
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=np.float32),
        np.zeros(0, dtype=np.int64),
        n_movies=4,
    )
    assert not als_training.factorise(nobody, np.array([1, 2]), options).any()
