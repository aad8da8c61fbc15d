"""The ranking protocol on a small, non-square table of scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import split_last_share
from moovier.evaluation import ranking
from moovier.models.popular import PopularScorer

N_USERS, N_MOVIES = 4, 9


class Table:
    """A scorer with a (users, movies) table."""

    def __init__(self, scores: Floats) -> None:
        self.scores = scores
        self.n_movies = scores.shape[1]
        self.batches: list[int] = []

    def score(self, users: Ints, histories: Histories) -> Floats:
        self.batches.append(len(users))
        return self.scores[users]

    def fold_in(self, history: History) -> Floats:
        raise AssertionError("known users must be scored by score")

    def explain(self, history: History, movies: Ints) -> Floats:
        return np.zeros((len(movies), len(history)), dtype=np.float32)


def ratings_of(*pairs: tuple[int, int]) -> Ratings:
    users, movies = np.array(pairs, dtype=np.int64).T
    n = len(pairs)
    return Ratings(users, movies, np.full(n, 4, np.float32), np.arange(n), N_USERS, N_MOVIES)


KNOWN = ratings_of((0, 0), (0, 1), (1, 8), (3, 2), (3, 0), (3, 5))
#: User 2 has no test rating.
TEST = ratings_of((3, 7), (0, 8), (1, 0), (0, 2))


def by_row() -> Table:
    """Return scores that prefer low movie rows, of user 3 high ones."""
    scores = np.tile(-np.arange(N_MOVIES, dtype=np.float32), (N_USERS, 1))
    scores[3] = np.arange(N_MOVIES)
    return Table(scores)


def test_known_movies_are_never_ranked() -> None:
    result = ranking.evaluate(by_row(), KNOWN.histories, TEST, k=3)
    assert result.users.tolist() == [0, 1, 3]
    assert result.top.tolist() == [[2, 3, 4], [0, 1, 2], [8, 7, 6]]


def test_metrics_are_per_user_with_test_ratings() -> None:
    result = ranking.evaluate(by_row(), KNOWN.histories, TEST, k=3)
    half_way = 1 / (1 + 1 / np.log2(3))
    np.testing.assert_allclose(result.ndcg, [half_way, 1, 1 / np.log2(3)])
    np.testing.assert_allclose(result.recall, [1 / 2, 1, 1])
    np.testing.assert_allclose(result.hit, [1, 1, 1])
    assert result.history.tolist() == [2, 1, 3]
    assert result.coverage == pytest.approx(8 / 9)
    assert result.metrics()["ndcg_at_3"] == pytest.approx(result.ndcg.mean())
    ((segment, (size, ndcg)),) = result.segments().items()
    assert (segment, size) == ("1-4", 3)
    assert ndcg == pytest.approx(result.ndcg.mean())


def test_a_transposed_table_is_an_error() -> None:
    scores = np.random.default_rng(0).normal(size=(N_USERS, N_MOVIES)).astype(np.float32)
    transposed = Table(np.ascontiguousarray(scores.T))
    with pytest.raises((IndexError, ValueError)):
        ranking.evaluate(transposed, KNOWN.histories, TEST, k=3)


def test_the_batch_size_does_not_change_the_lists() -> None:
    scores = np.random.default_rng(1).normal(size=(N_USERS, N_MOVIES)).astype(np.float32)
    large, small = Table(scores), Table(scores)
    large_result = ranking.evaluate(large, KNOWN.histories, TEST, k=4, batch=100)
    small_result = ranking.evaluate(small, KNOWN.histories, TEST, k=4, batch=1)
    np.testing.assert_array_equal(large_result.top, small_result.top)
    assert (large.batches, small.batches) == ([3], [1, 1, 1])


def test_the_scorers_arrays_are_not_changed() -> None:
    table = by_row()
    before = table.scores.copy()
    ranking.evaluate(table, KNOWN.histories, TEST, k=3)
    np.testing.assert_array_equal(table.scores, before)


def test_ties_rank_by_movie_row() -> None:
    flat = Table(np.zeros((N_USERS, N_MOVIES), dtype=np.float32))
    result = ranking.evaluate(flat, KNOWN.histories, TEST, k=3)
    assert result.top.tolist() == [[2, 3, 4], [0, 1, 2], [1, 3, 4]]


def test_a_list_longer_than_the_catalogue_is_padded() -> None:
    result = ranking.evaluate(by_row(), KNOWN.histories, TEST, k=12)
    assert result.top[0].tolist() == [2, 3, 4, 5, 6, 7, 8, -1, -1, -1, -1, -1]
    assert result.recall[0] == 1


def test_an_empty_test_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="no ratings"):
        ranking.evaluate(by_row(), KNOWN.histories, TEST.take(np.array([], dtype=int)))


@pytest.mark.real_data
def test_popularity_has_its_known_metrics_on_the_real_data(real_data: Path) -> None:
    earlier, later = split_last_share(to_arrays(read_movielens(real_data))[1])
    known = earlier.histories
    result = ranking.evaluate(PopularScorer(known.movie_counts()), known, later)
    metrics = result.metrics()
    assert result.users.size == 610
    assert metrics["ndcg_at_10"] == pytest.approx(0.087, abs=0.002)
    assert metrics["recall_at_10"] == pytest.approx(0.083, abs=0.002)
    assert metrics["hit_at_10"] == pytest.approx(0.38, abs=0.01)


class CoveredTable(Table):
    """A scorer that covers every third movie; a user's scores depend on the history."""

    covered = np.arange(1, N_MOVIES, 3)

    def __init__(self) -> None:
        super().__init__(np.zeros((N_USERS, N_MOVIES), np.float32))

    def fold_in(self, history: History) -> Floats:
        popularity = np.linspace(0.0, 1.0, N_MOVIES, dtype=np.float32)
        if not np.isin(history.movies, self.covered).any():
            return popularity
        scores = popularity - 9
        scores[self.covered] = np.sin(self.covered * (1 + history.movies.sum()))
        return scores

    def fold_in_covered(self, histories: Histories) -> Floats:
        rows = [self.fold_in(histories[u])[self.covered] for u in range(histories.n_users)]
        return np.stack(rows).astype(np.float32)


@pytest.mark.parametrize("k", [1, 2, 3, N_MOVIES])
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_lists_of_covered_movies_equal_those_of_the_catalogue(k: int, batch: int) -> None:
    """Users with covered ratings, without any, without ratings, and with short lists."""
    scorer, known = CoveredTable(), ratings_of((0, 1), (0, 4), (0, 2), (1, 0), (3, 7)).histories
    users = np.array([3, 0, 2, 1])
    lists = ranking.top_lists(scorer, users, known, k, batch=batch)
    for row, user in enumerate(users.tolist()):
        history = known[user]
        expected = ranking.top_unseen(scorer.fold_in(history), history.movies, k)
        assert lists[row].tolist() == expected.tolist()


@pytest.mark.parametrize("k", [1, 3, N_MOVIES])
def test_lists_of_one_order_for_everybody_equal_those_by_scores(k: int) -> None:
    """Users with many seen movies, with none, and with equal counts."""
    counts = np.arange(N_MOVIES) // 2 % 4
    scorer = PopularScorer(counts)
    known = ratings_of((0, 1), (0, 7), (0, 6), *((2, movie) for movie in range(N_MOVIES - 1)))
    users = np.array([2, 0, 1])
    lists = ranking.top_lists(scorer, users, known.histories, k)
    for row, user in enumerate(users.tolist()):
        seen = known.histories[user].movies
        expected = ranking.top_unseen(counts.astype(np.float32), seen, k)
        assert lists[row].tolist() == expected.tolist()
