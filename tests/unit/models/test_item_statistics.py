"""Shared Gram matrices and weights equal those that each training computes for itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.models import ease, item_statistics
from moovier.models.ease import EaseParams
from moovier.models.item_statistics import ItemStatistics, Weighting


def drawn(n_users: int = 90, n_movies: int = 17) -> Ratings:
    random = np.random.default_rng(3)
    rated = random.random((n_users, n_movies)) < 0.4
    users, movies = np.nonzero(rated)
    stars = random.integers(1, 11, users.size) / 2
    timestamps = random.integers(0, 10**7, users.size)
    ratings = Ratings(users, movies, stars.astype(np.float32), timestamps, n_users, n_movies)
    return ratings.histories.ratings()


PARAMS = EaseParams(size=1, lambda_=7.0, star_power=1.5, half_life=20.0)
WEIGHTING = Weighting(PARAMS.star_power, PARAMS.half_life)


@pytest.mark.parametrize("n_gone", [0, 4, 80])
def test_weights_of_a_part_equal_a_solution_of_its_own(tmp_path: Path, n_gone: int) -> None:
    whole = drawn()
    # Some users are gone, and one has lost a rating.
    part = whole.take((whole.users >= n_gone) & (np.arange(len(whole)) != len(whole) - 1))
    covered = np.arange(whole.n_movies)
    statistics = ItemStatistics(tmp_path, whole.histories, covered, threads=2)
    weights = ease.solve(part.histories, covered, PARAMS, statistics)
    matrix = item_statistics.weighted_matrix(part.histories, covered, WEIGHTING).toarray()
    inverse = np.linalg.inv(matrix.T @ matrix + 7.0 * np.eye(covered.size))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(weights, expected, atol=1e-3)


def test_gram_over_blocks_equals_the_dense_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_statistics, "_BLOCK", 5)
    histories, covered = drawn().histories, np.array([0, 2, 3, 7, 8, 11, 16])
    matrix = item_statistics.weighted_matrix(histories, covered, WEIGHTING).toarray()
    gram = item_statistics.gram(histories, covered, WEIGHTING, threads=2)
    np.testing.assert_allclose(gram, matrix.T @ matrix)


def test_solution_over_blocks_equals_the_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_statistics, "_BLOCK", 5)
    factors = np.random.default_rng(0).normal(size=(40, 17))
    gram = factors.T @ factors
    inverse = np.linalg.inv(gram + 3.0 * np.eye(17))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)
    weights = item_statistics.solve_gram(gram, 3.0)
    np.testing.assert_allclose(weights, expected, rtol=1e-9, atol=1e-12)
    assert weights.flags.c_contiguous


def test_weights_are_solved_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn().histories
    statistics = ItemStatistics(tmp_path, whole, np.arange(whole.n_movies))
    first = statistics.weights(whole, lambda_=7.0, weighting=WEIGHTING)
    monkeypatch.setattr(item_statistics, "solve_gram", None)
    again = ItemStatistics(tmp_path, whole, np.arange(whole.n_movies))
    second = again.weights(whole, lambda_=7.0, weighting=WEIGHTING)
    np.testing.assert_array_equal(first, second)
    assert isinstance(second, np.memmap)
    with pytest.raises(TypeError):
        again.weights(whole, lambda_=8.0, weighting=WEIGHTING)
