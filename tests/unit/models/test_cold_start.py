"""Scores of movies that nobody has rated."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models.cold_start import ColdStartScorer, RowColdStartScorer
from moovier.models.content_neighbours import Neighbours


class _Toy:
    """Scores the movies 0, 1 and 2 by weights of the rated ones."""

    n_movies = 3
    weights = np.array([[0, 1, 2], [3, 0, 4], [5, 6, 0]], dtype=np.float32)

    def score(self, users: Ints, histories: Histories) -> Floats:
        return np.stack([self.fold_in(histories[int(user)]) for user in users])

    def fold_in(self, history: History) -> Floats:
        return np.asarray(history.stars @ self.weights[history.movies], dtype=np.float32)

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        return self.fold_in(history)[movies]

    def explain(self, history: History, movies: Ints) -> Floats:
        return (history.stars[:, None] * self.weights[history.movies])[:, movies].T


#: The larger catalogue has new movies at its rows 1 and 4.
RATED_ROWS, NEW_ROWS = np.array([0, 2, 3]), np.array([1, 4])
NEIGHBOURS = Neighbours(
    np.array([[0, 2], [2, 1]]), np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float32)
)


def history(*movies: int) -> History:
    size = len(movies)
    stars = np.arange(1, size + 1, dtype=np.float32)
    return History(np.array(movies, dtype=np.int64), stars, np.arange(size))


HISTORIES = Histories(
    np.array([0, 1, 3]),
    np.array([0, 1, 2], dtype=np.int32),
    np.array([1, 2, 3], dtype=np.float32),
    np.arange(3),
    3,
)


@pytest.fixture
def scorer() -> RowColdStartScorer:
    return RowColdStartScorer(_Toy(), HISTORIES, RATED_ROWS, NEW_ROWS, NEIGHBOURS)


def test_new_movie_has_the_weighted_mean_of_its_neighbours(scorer: ColdStartScorer) -> None:
    scores = scorer.fold_in(history(2))  # row 2 is the scorer's movie 1
    assert scores.tolist() == [3, 0.75 * 3 + 0.25 * 4, 0, 4, 0.5 * 4 + 0.5 * 0]


def test_batch_equals_one_by_one_over_the_larger_catalogue(scorer: ColdStartScorer) -> None:
    together = scorer.score(np.array([1, 0]), HISTORIES)
    assert together.shape == (2, 5)
    assert together[1].tolist() == scorer.fold_in(history(0)).tolist()


def test_rows_alone_equal_the_whole_catalogue(scorer: RowColdStartScorer) -> None:
    rows = np.array([4, 0, 1, 3])
    for given in (history(2), history(0, 3), history(1), history(4, 1)):
        assert scorer.fold_in_rows(given, rows) == pytest.approx(scorer.fold_in(given)[rows])


def test_rating_of_a_new_movie_counts_as_one_of_its_nearest_neighbour(
    scorer: ColdStartScorer,
) -> None:
    assert scorer.fold_in(history(1)).tolist() == scorer.fold_in(history(0)).tolist()
    # Its nearest neighbour is rated already, so the next one counts.
    both, plain = scorer.fold_in(history(0, 1)), scorer.fold_in(history(0, 3))
    assert both.tolist() == plain.tolist()


def test_parts_of_a_score_add_up_to_it(scorer: ColdStartScorer) -> None:
    for given in (history(2, 0), history(0, 1), history(4)):
        rows = np.arange(5)
        parts = scorer.explain(given, rows)
        assert parts.shape == (5, len(given))
        assert parts.sum(axis=1) == pytest.approx(scorer.fold_in(given))
