"""Weights of ratings by age against a naive definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.ratings import Ratings
from moovier.data.split import PAUSE_S
from moovier.models.recency import Recency

DAY = 86_400
RECENCY = Recency(days=30.0, ratings=4.0, floor=0.25)
MOMENTS = st.lists(st.integers(0, 40 * DAY), min_size=1, max_size=30)


def naive_weights(timestamps: list[int]) -> list[float]:
    """Return each rating's weight by the definition in `Recency`."""
    ordered = sorted(timestamps)
    visit_of = {}
    visit = 0
    for before, moment in zip([ordered[0], *ordered], ordered, strict=False):
        visit += moment - before >= PAUSE_S
        visit_of[moment] = visit
    weights = []
    for moment in timestamps:
        later = sum(visit_of[other] > visit_of[moment] for other in timestamps)
        by_age = 0.5 ** ((ordered[-1] - moment) / (30 * DAY))
        weights.append(by_age * (0.25 + 0.75 * 0.5 ** (later / 4)))
    return weights


@given(MOMENTS)
def test_weights_follow_the_definition(moments: list[int]) -> None:
    weights = RECENCY.weights(np.array(moments, dtype=np.int64))
    np.testing.assert_allclose(weights, naive_weights(moments), rtol=1e-5)


@given(st.lists(MOMENTS, min_size=1, max_size=5))
def test_weights_of_all_users_equal_those_of_each(users: list[list[int]]) -> None:
    rows = [(user, moment) for user, moments in enumerate(users) for moment in moments]
    ratings = Ratings(
        users=np.array([user for user, _ in rows]),
        movies=np.arange(len(rows)),
        stars=np.full(len(rows), 4.0, dtype=np.float32),
        timestamps=np.array([moment for _, moment in rows]),
        n_users=len(users) + 1,  # one user without ratings
        n_movies=len(rows),
    )
    histories = ratings.histories
    expected = [RECENCY.weights(histories[user].timestamps) for user in range(len(users) + 1)]
    np.testing.assert_allclose(RECENCY.all_weights(histories), np.concatenate(expected), rtol=1e-5)


@pytest.mark.parametrize("moments", [[], [5], [7, 7, 7]])
def test_ratings_of_one_moment_have_weight_1(moments: list[int]) -> None:
    assert RECENCY.weights(np.array(moments, dtype=np.int64)).tolist() == [1.0] * len(moments)


def test_ratings_of_one_visit_have_the_same_later_ratings() -> None:
    endless = Recency(days=1e12, ratings=4.0, floor=0.0)
    weights = endless.weights(np.array([0, 60, 120, 3 * DAY, 3 * DAY + 60]))
    np.testing.assert_allclose(weights, [0.5**0.5] * 3 + [1.0] * 2, rtol=1e-6)
