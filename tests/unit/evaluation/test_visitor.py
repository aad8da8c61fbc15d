"""The visitor protocol: participation, draws of ratings, and relevant movies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import hold_out_users, split_last_visit
from moovier.evaluation import next_visit, visitor
from moovier.evaluation.visitor import KS, draw_visitors
from moovier.models.popular import PopularScorer

N_MOVIES, MOMENT = 50, 12_345


class Recorder:
    """A scorer that records its histories; it prefers ``best``, then high movie rows."""

    n_movies = N_MOVIES

    def __init__(self, best: Ints | None = None) -> None:
        self.histories: list[History] = []
        self._scores = np.arange(N_MOVIES, dtype=np.float32)
        if best is not None:
            self._scores[best] += 1000

    def score(self, users: Ints, histories: Histories) -> Floats:
        raise AssertionError("visitors must be scored by fold-in")

    def fold_in(self, history: History) -> Floats:
        self.histories.append(history)
        return self._scores

    def explain(self, history: History, movies: Ints) -> Floats:
        raise NotImplementedError


def held_out_ratings(*sizes: int, liked: int | None = None) -> Ratings:
    """Return a user per size; the first ``liked`` movies of each have 5 stars, the others 3."""
    users = np.repeat(np.arange(len(sizes)), sizes)
    movies = np.concatenate([np.arange(size) for size in sizes])
    stars = np.where(movies < (N_MOVIES if liked is None else liked), 5, 3).astype(np.float32)
    return Ratings(users, movies, stars, np.arange(users.size), len(sizes), N_MOVIES)


def participation(held_out: Ratings) -> list[list[bool]]:
    """Return whether each user has an NDCG at each k."""
    result = visitor.evaluate(
        Recorder(), draw_visitors(held_out, moment=MOMENT), np.ones(N_MOVIES, int)
    )
    assert result is not None
    measured: list[list[bool]] = (~np.isnan(result.ndcg)).tolist()
    return measured


def test_users_take_part_with_k_and_ten_more_ratings() -> None:
    assert participation(held_out_ratings(11, 13, 19, 20, 30)) == [
        [True, False, False, False, False],
        [True, True, False, False, False],
        [True, True, True, False, False],
        [True, True, True, True, False],
        [True, True, True, True, True],
    ]
    visitors = draw_visitors(held_out_ratings(10), moment=MOMENT)
    assert visitor.evaluate(Recorder(), visitors, np.ones(N_MOVIES, int)) is None


def test_users_take_part_with_five_relevant_movies_left() -> None:
    assert participation(held_out_ratings(40, liked=40)) == [[True] * 5]
    visitors = draw_visitors(held_out_ratings(40, liked=4), moment=MOMENT)
    assert visitors.users.size == 0


def test_draws_are_nested_with_one_timestamp() -> None:
    held_out = held_out_ratings(40, 45)
    visitors = draw_visitors(held_out, moment=MOMENT, draws=4)
    assert visitors.users.tolist() == [0, 1]
    for row in (0, 1):
        drawn = []
        for draw in range(4):
            visits = [v for v in visitors.visits if (v.row, v.draw) == (row, draw)]
            assert [len(visit.history) for visit in visits] == list(KS)
            longest = visits[-1].history
            for visit in visits:
                k = len(visit.history)
                assert visit.history.movies.tolist() == longest.movies[:k].tolist()
                assert set(visit.history.timestamps.tolist()) == {MOMENT}
                assert not set(visit.history.movies.tolist()) & set(visit.relevant.tolist())
                assert visit.relevant.size == (40, 45)[row] - k
            drawn.append(longest.movies.tolist())
            assert drawn[-1] != sorted(drawn[-1])
        assert len(set(map(tuple, drawn))) == 4


def test_draws_depend_on_seed_and_user_only() -> None:
    def histories(held_out: Ratings, seed: int) -> dict[tuple[int, int, int], list[int]]:
        visitors = draw_visitors(held_out, moment=MOMENT, seed=seed)
        return {
            (int(visitors.users[v.row]), v.draw, v.column): v.history.movies.tolist()
            for v in visitors.visits
        }

    held_out = held_out_ratings(40, 45, 33)
    drawn = histories(held_out, 0)
    shuffled = held_out.take(np.random.default_rng(1).permutation(len(held_out)))
    assert histories(shuffled, 0) == drawn
    alone = histories(held_out.take(held_out.users == 1), 0)
    assert alone == {key: value for key, value in drawn.items() if key[0] == 1}
    assert histories(held_out, 1) != drawn


def test_metrics_are_means_over_draws_without_the_drawn_movies() -> None:
    held_out = held_out_ratings(12)
    visitors = draw_visitors(held_out, moment=MOMENT)
    # All liked movies come first; the drawn one is left out.
    perfect = visitor.evaluate(Recorder(np.arange(12)), visitors, np.ones(N_MOVIES, int))
    assert perfect is not None
    np.testing.assert_allclose(perfect.ndcg[:, 0], 1)
    np.testing.assert_allclose(perfect.ndcg_k0, 1)
    assert perfect.metrics() == {
        "visitor_ndcg_at_10": pytest.approx(1),
        "visitor_ndcg_at_10_k0": pytest.approx(1),
        "visitor_ndcg_at_10_k1": pytest.approx(1),
        "visitor_debiased_ndcg_at_10": pytest.approx(1),
    }
    # Movie 0 comes first, then irrelevant movies: a hit unless movie 0 was drawn.
    scorer = Recorder(np.array([0]))
    result = visitor.evaluate(scorer, visitors, np.ones(N_MOVIES, int))
    assert result is not None
    hits = [0 not in visit.history.movies for visit in visitors.visits if visit.column == 0]
    ideal = (1 / np.log2(np.arange(2, 12))).sum()
    np.testing.assert_allclose(result.ndcg[0, 0], np.mean(hits) / ideal)


@pytest.mark.real_data
def test_popularity_has_its_published_metrics(real_data: Path) -> None:
    """Calibrate the protocols; another draw of visitors moves a metric by 0.006."""
    _, ratings, _ = to_arrays(read_movielens(real_data))
    kept, held_out = hold_out_users(ratings, 0)
    counts = kept.histories.movie_counts()
    visitors = draw_visitors(held_out, moment=int(ratings.timestamps.max()))
    visitor_result = visitor.evaluate(PopularScorer(counts), visitors, counts)
    assert visitor_result is not None
    metrics = visitor_result.metrics()
    for k, expected in zip(KS, (0.336, 0.334, 0.328, 0.317, 0.325), strict=True):
        assert metrics[f"visitor_ndcg_at_10_k{k}"] == pytest.approx(expected, abs=0.006)
    assert metrics["visitor_debiased_ndcg_at_10"] == pytest.approx(0.063, abs=0.002)

    before, after = split_last_visit(ratings)
    known = before.histories
    result = next_visit.evaluate(PopularScorer(known.movie_counts()), known, after)
    assert result is not None
    named = next_visit.named_metrics(result)
    assert named["next_visit_ndcg_at_10"] == pytest.approx(0.0767, abs=0.0005)
    assert named["next_visit_debiased_ndcg_at_10"] == pytest.approx(0.0262, abs=0.0002)
    liked = np.bincount(before.movies[before.stars >= 4], minlength=before.n_movies)
    result = next_visit.evaluate(PopularScorer(liked), known, after)
    assert result is not None
    assert float(result.ndcg.mean()) == pytest.approx(0.0710, abs=0.0005)


def test_visits_ranked_together_equal_visits_one_by_one() -> None:
    half = np.arange(0, N_MOVIES, 2)

    class Alone(Recorder):
        """A scorer of the sum of stars, over half of the movies."""

        def fold_in(self, history: History) -> Floats:
            scores = -100 - np.arange(N_MOVIES, dtype=np.float32)
            scores[half] = np.cos(half * (1 + history.stars.sum() + history.movies.sum()))
            return scores

    class Together(Alone):
        covered = half

        def fold_in_covered(self, histories: Histories) -> Floats:
            rows = [self.fold_in(histories[u])[half] for u in range(histories.n_users)]
            return np.stack(rows).astype(np.float32)

    random = np.random.default_rng(1)
    held_out = held_out_ratings(40, 45, 12)
    held_out = Ratings(
        held_out.users,
        np.concatenate([random.permutation(N_MOVIES)[:n] for n in (40, 45, 12)]),
        random.integers(5, 11, 97).astype(np.float32) / np.float32(2),
        held_out.timestamps,
        3,
        N_MOVIES,
    )
    visitors = draw_visitors(held_out, moment=MOMENT)
    counts = np.arange(N_MOVIES)
    alone = visitor.evaluate(Alone(), visitors, counts)
    together = visitor.evaluate(Together(), visitors, counts)
    assert alone is not None
    assert together is not None
    np.testing.assert_array_equal(together.ndcg, alone.ndcg)
    np.testing.assert_array_equal(together.debiased, alone.debiased)
    assert np.nanmax(alone.ndcg) > 0
