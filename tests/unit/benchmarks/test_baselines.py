"""The baselines of the quality benchmark on small matrices."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.baselines import RANKERS
from moovier.data.ratings import History, Ratings

DAY = 86_400
BY_NAME = {ranker.name: ranker for ranker in RANKERS}


def ratings_of(rows: list[tuple[int, int, float, int]], n_users: int, n_movies: int) -> Ratings:
    users, movies, stars, days = (np.array(column) for column in zip(*rows, strict=True))
    return Ratings(
        users.astype(np.int64),
        movies.astype(np.int64),
        stars.astype(np.float32),
        days.astype(np.int64) * DAY,
        n_users,
        n_movies,
    )


def history_of(*movies: int) -> History:
    rows = np.array(movies, dtype=np.int64)
    return History(rows, np.full(rows.size, 4.0, np.float32), np.zeros(rows.size, np.int64))


#: Movie 0 was popular long ago, movie 1 in recent weeks, movie 2 in recent days, movie 3 never.
OVER_TIME = ratings_of(
    [
        *((user, 0, 2.0, 1) for user in range(5)),
        *((user, 1, 3.0, 780) for user in range(4)),
        *((user, 2, 5.0, 799) for user in range(2)),
        (5, 0, 4.0, 800),
    ],
    6,
    4,
)


@pytest.mark.parametrize(
    ("name", "best"),
    [
        ("most popular", 0),
        ("most popular, 365 days", 1),
        ("most popular, 30 days", 1),
        ("most popular, 7 days", 2),
        ("trending, 30 days", 1),
        ("most liked", 2),
    ],
)
def test_popularity_counts_ratings_within_the_window(name: str, best: int) -> None:
    scorer = BY_NAME[name].fit(OVER_TIME, {}, 0)

    scores = scorer.fold_in(history_of(1))

    assert int(np.argmax(scores)) == best
    assert scores[3] == scores.min()
    np.testing.assert_array_equal(scorer.score(np.array([0]), OVER_TIME.histories)[0], scores)


def _binary(ratings: Ratings) -> np.ndarray:
    matrix = np.zeros((ratings.n_users, ratings.n_movies))
    matrix[ratings.users, ratings.movies] = 1
    return matrix


@pytest.mark.parametrize(("n_users", "n_movies"), [(5, 9), (14, 6)])
def test_ease_solves_its_equation(n_users: int, n_movies: int) -> None:
    rng = np.random.default_rng(0)
    pairs = np.argwhere(rng.random((n_users, n_movies)) < 0.5)
    missing = set(range(n_movies)) - set(pairs[:, 1])
    rows = [(user, movie, 4.0, 1) for user, movie in pairs.tolist()]
    ratings = ratings_of([*rows, *((0, movie, 4.0, 1) for movie in missing)], n_users, n_movies)
    matrix = _binary(ratings)
    inverse = np.linalg.inv(matrix.T @ matrix + 7.0 * np.eye(n_movies))
    expected = -inverse / np.diag(inverse)
    np.fill_diagonal(expected, 0.0)

    scorer = BY_NAME["EASE (NumPy)"].fit(ratings, {"lambda_": 7.0}, 0)

    for movies in ([2], [0, 3], [1, 4, 5]):
        np.testing.assert_allclose(
            scorer.fold_in(history_of(*movies)), expected[movies].sum(axis=0), atol=1e-5
        )


def test_ranking_baselines_score_visitors_without_ratings() -> None:
    for ranker in RANKERS:
        if ranker.library is None:
            params = {"k": 2, "shrink": 0.1, "lambda_": 5.0}
            scores = ranker.fit(OVER_TIME, params, 0).fold_in(history_of())
            assert scores.shape == (4,)
            assert np.isfinite(scores).all()
