"""The order audit tells a model that reads the order from one that does not."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import PAUSE_S
from moovier.evaluation import order_audit
from moovier.evaluation.order_audit import shuffled_whole, shuffled_within_sittings

N_MOVIES = 200


class Follower:
    """Recommends the ten movies after the last rated one: it learnt the list's order."""

    n_movies = N_MOVIES

    def score(self, users: Ints, histories: Histories) -> Floats:
        raise AssertionError("held-out people are served by fold-in")

    def fold_in(self, history: History) -> Floats:
        distance = (np.arange(N_MOVIES) - history.movies[-1]) % N_MOVIES
        return np.where(distance <= 10, 1000 - distance, np.arange(N_MOVIES)).astype(np.float32)

    def explain(self, history: History, movies: Ints) -> Floats:
        raise NotImplementedError


class Orderless(Follower):
    """Recommends low movie numbers, lower ones where the person rated many of them."""

    def fold_in(self, history: History) -> Floats:
        scores = -np.arange(N_MOVIES, dtype=np.float32)
        scores[history.movies // 2] += history.stars
        return scores


def people() -> Ratings:
    """Five people who rate 50 movies down one list, two sittings of 25 each."""
    users = np.repeat(np.arange(5), 50)
    place = np.tile(np.arange(50), 5)
    moments = place + (place >= 25) * 2 * PAUSE_S
    movies = place + 10 * users
    return Ratings(users, movies, np.full(250, 4, np.float32), moments, 5, N_MOVIES)


def test_a_model_that_follows_the_order_is_found_out() -> None:
    found = order_audit.evaluate(Follower(), people())
    assert found is not None
    figures = found.metrics()
    assert figures["order_audit_ndcg_at_10_as_rated"] == pytest.approx(1)
    assert figures["order_audit_ndcg_at_10_within_sittings"] < 0.8
    assert figures["order_audit_ndcg_at_10_shuffled"] < 0.8
    assert figures["order_audit_overlap_shuffled"] < 1


def test_a_model_that_takes_histories_as_sets_is_the_same_in_every_order() -> None:
    found = order_audit.evaluate(Orderless(), people())
    assert found is not None
    np.testing.assert_array_equal(found.as_rated, found.shuffled)
    assert found.overlap_within_sittings.tolist() == found.overlap_shuffled.tolist() == [1] * 5


def test_shuffling_keeps_timestamps_and_pairs_of_movie_and_stars() -> None:
    moments = np.array([0, 10, 20, 30, PAUSE_S + 30, PAUSE_S + 40, PAUSE_S + 50, 2 * PAUSE_S + 49])
    movies = np.arange(8)
    history = History(movies, (movies / 2 + 0.5).astype(np.float32), moments)
    seen = set()
    for seed in range(20):
        for shuffled in (shuffled_within_sittings, shuffled_whole):
            found = shuffled(history, np.random.default_rng(seed))
            np.testing.assert_array_equal(found.timestamps, moments)
            np.testing.assert_array_equal(found.stars, found.movies / 2 + 0.5)
            assert sorted(found.movies) == list(range(8))
        within = shuffled_within_sittings(history, np.random.default_rng(seed)).movies
        assert sorted(within[:4]) == [0, 1, 2, 3]
        seen.add(tuple(within))
    assert len(seen) > 10


def test_nobody_with_a_later_part_has_no_audit() -> None:
    held_out = people().take(np.array([0, 51]))
    assert order_audit.evaluate(Follower(), held_out) is None
