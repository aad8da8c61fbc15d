from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from moovier.feedback.store import StoredRating
from moovier.monitoring.feedback_quality import live, wilson


@dataclass(frozen=True)
class List:
    request_id: str
    version: int
    movie_ids: tuple[int, ...]


def rated(
    n: int, *, liked: float, request_id: str | None, user: int = 0, movie: int = 1
) -> list[StoredRating]:
    """``n`` people's ratings of one movie, a share of them five stars and the others one."""
    return [
        StoredRating(user + one, movie, 5.0 if one < liked * n else 1.0, 10, request_id)
        for one in range(n)
    ]


def test_without_recorded_lists_every_quoted_rating_counts() -> None:
    ratings = [
        *rated(80, liked=0.25, request_id="r", user=1),
        *rated(100, liked=0.75, request_id=None, user=500),
    ]
    found = live(ratings, None, seed=0)
    assert (found.recommended.ratings, found.others.ratings) == (80, 100)
    assert found.recommended.liked == 0.25
    assert found.recommended.stars == 2.0
    assert found.gain == pytest.approx(-0.5)
    assert found.low < -0.5 < found.high < -0.3
    assert found.enough
    assert (found.lists, found.rated_share, found.by_version) == (None, None, {})


def test_with_lists_only_movies_that_were_on_them_count() -> None:
    lists = [List("a", 3, (1, 2)), List("b", 4, (7,)), List("c", 4, (1,))]
    ratings = [
        StoredRating(1, 1, 4.0, 10, "a"),
        StoredRating(1, 2, 2.0, 10, "a"),
        StoredRating(1, 9, 5.0, 10, "a"),  # was not on the list
        StoredRating(2, 7, 3.5, 10, "b"),
        StoredRating(3, 1, 5.0, 10, "unknown"),  # may have been, or not
        StoredRating(3, 2, 5.0, 10, None),
    ]
    found = live(ratings, lists, seed=0)
    assert (found.recommended.ratings, found.recommended.people) == (3, 2)
    assert found.others.ratings == 2
    assert (found.lists, found.rated_share) == (3, pytest.approx(2 / 3))
    assert {number: one.liked for number, one in found.by_version.items()} == {3: 0.5, 4: 1.0}
    assert not found.enough


def test_nothing_said_is_nothing_known() -> None:
    found = live([], [], seed=0)
    assert (found.lists, found.rated_share) == (0, None)
    assert math.isnan(found.gain)
    assert not found.enough


@given(st.integers(1, 200), st.data())
def test_the_interval_is_wilson_s(n: int, data: st.DataObject) -> None:
    successes = data.draw(st.integers(0, n))
    expected = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert wilson(successes, n) == pytest.approx((expected.low, expected.high), abs=1e-6)
