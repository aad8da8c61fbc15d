"""The order audit detects a model that reads the order of a history."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Floats, Histories, History, Ints, Ratings
from moovier.data.split import PAUSE_S
from moovier.evaluation import order_audit
from moovier.evaluation.order_audit import shuffle_all, shuffle_within_sittings

N_MOVIES = 200


class Follower:
    """A model that learnt the list's order: it recommends the ten movies after the last rating."""

    n_movies = N_MOVIES

    def score(self, users: Ints, histories: Histories) -> Floats:
        raise AssertionError("held-out users must be scored by fold-in")

    def fold_in(self, history: History) -> Floats:
        distance = (np.arange(N_MOVIES) - history.movies[-1]) % N_MOVIES
        return np.where(distance <= 10, 1000 - distance, np.arange(N_MOVIES)).astype(np.float32)

    def explain(self, history: History, movies: Ints) -> Floats:
        raise NotImplementedError


class Orderless(Follower):
    """A model of sets: it recommends low movie rows, and those that depend on the rated ones."""

    def fold_in(self, history: History) -> Floats:
        scores = -np.arange(N_MOVIES, dtype=np.float32)
        scores[history.movies // 2] += history.stars
        return scores


def held_out_ratings() -> Ratings:
    """Return five users who rate 50 movies down one list, in two sittings of 25 each."""
    users = np.repeat(np.arange(5), 50)
    place = np.tile(np.arange(50), 5)
    moments = place + (place >= 25) * 2 * PAUSE_S
    movies = place + 10 * users
    return Ratings(users, movies, np.full(250, 4, np.float32), moments, 5, N_MOVIES)


def test_a_model_that_follows_the_order_loses_ndcg_when_shuffled() -> None:
    audit = order_audit.evaluate(Follower(), held_out_ratings())
    assert audit is not None
    metrics = audit.metrics()
    assert metrics["order_audit_ndcg_at_10_as_rated"] == pytest.approx(1)
    assert metrics["order_audit_ndcg_at_10_within_sittings"] < 0.8
    assert metrics["order_audit_ndcg_at_10_shuffled"] < 0.8
    assert metrics["order_audit_overlap_shuffled"] < 1


def test_a_model_of_sets_has_the_same_lists_in_every_order() -> None:
    audit = order_audit.evaluate(Orderless(), held_out_ratings())
    assert audit is not None
    np.testing.assert_array_equal(audit.as_rated, audit.shuffled)
    assert audit.overlap_within_sittings.tolist() == audit.overlap_shuffled.tolist() == [1] * 5


def test_shuffling_keeps_timestamps_and_pairs_of_movie_and_stars() -> None:
    moments = np.array([0, 10, 20, 30, PAUSE_S + 30, PAUSE_S + 40, PAUSE_S + 50, 2 * PAUSE_S + 49])
    movies = np.arange(8)
    history = History(movies, (movies / 2 + 0.5).astype(np.float32), moments)
    orders = set()
    for seed in range(20):
        for shuffle in (shuffle_within_sittings, shuffle_all):
            shuffled = shuffle(history, np.random.default_rng(seed))
            np.testing.assert_array_equal(shuffled.timestamps, moments)
            np.testing.assert_array_equal(shuffled.stars, shuffled.movies / 2 + 0.5)
            assert sorted(shuffled.movies) == list(range(8))
        within = shuffle_within_sittings(history, np.random.default_rng(seed)).movies
        assert sorted(within[:4]) == [0, 1, 2, 3]
        orders.add(tuple(within))
    assert len(orders) > 10


def test_users_without_a_later_part_get_no_audit() -> None:
    held_out = held_out_ratings().take(np.array([0, 51]))
    assert order_audit.evaluate(Follower(), held_out) is None
