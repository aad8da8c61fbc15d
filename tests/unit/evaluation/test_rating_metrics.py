"""The rating protocol on a small, non-square table of stars."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.evaluation import rating_metrics

N_USERS, N_MOVIES = 3, 5


class Table:
    """A scorer with a (users, movies) table."""

    n_movies = N_MOVIES

    def score(self, users: Ints, histories: Histories) -> Floats:
        table = np.arange(N_USERS * N_MOVIES, dtype=np.float32).reshape(N_USERS, N_MOVIES) / 3
        return table[users].astype(np.float32)

    def fold_in(self, history: History) -> Floats:
        raise AssertionError("known users must be scored by score")

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


def ratings(*rows: tuple[int, int, float]) -> Ratings:
    users, movies, stars = np.array(rows).T
    moments = np.arange(len(rows))
    return Ratings(
        users.astype(np.int64),
        movies.astype(np.int64),
        stars.astype(np.float32),
        moments,
        N_USERS,
        N_MOVIES,
    )


KNOWN = ratings((0, 0, 3.0), (2, 1, 4.0), (2, 2, 4.0))
TEST = ratings((2, 4, 4.0), (0, 3, 2.0), (2, 0, 3.0))


def test_each_row_is_predicted_for_its_own_user_and_movie() -> None:
    result = rating_metrics.evaluate(Table(), KNOWN.histories, TEST)
    np.testing.assert_allclose(result.predicted, [14 / 3, 1.0, 10 / 3], rtol=1e-6)
    np.testing.assert_array_equal(result.stars, [4.0, 2.0, 3.0])
    assert result.metrics()["mae"] == pytest.approx((2 / 3 + 1 + 1 / 3) / 3, rel=1e-6)
    squares = ((2 / 3) ** 2 + 1 + (1 / 3) ** 2) / 3
    assert result.metrics()["rmse"] == pytest.approx(squares**0.5, rel=1e-6)


class PairTable(Table):
    """A table that also scores single pairs."""

    def stars(self, users: Ints, movies: Ints) -> Floats:
        return self.score(users, KNOWN.histories)[np.arange(users.size), movies]


def test_pairs_are_predicted_like_rows_of_the_table() -> None:
    pairs = rating_metrics.evaluate(PairTable(), KNOWN.histories, TEST)
    table = rating_metrics.evaluate(Table(), KNOWN.histories, TEST)
    np.testing.assert_array_equal(pairs.predicted, table.predicted)
