from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.feedback.ratings import StoredRating
from moovier.monitoring.feedback_quality import measure_live_quality


@dataclass(frozen=True)
class List:
    request_id: str
    version: int
    movie_ids: tuple[int, ...]


def rated(
    n: int, *, liked: float, request_id: str | None, user: int = 0, movie: int = 1
) -> list[StoredRating]:
    """Return ratings of one movie by ``n`` users: the share ``liked`` with 5 stars, others 1."""
    return [
        StoredRating(user + number, movie, 5.0 if number < liked * n else 1.0, 10, request_id)
        for number in range(n)
    ]


def test_every_quoting_rating_counts_without_recorded_lists() -> None:
    ratings = [
        *rated(80, liked=0.25, request_id="r", user=1),
        *rated(100, liked=0.75, request_id=None, user=500),
    ]
    quality = measure_live_quality(ratings, None, seed=0)
    assert (quality.recommended.ratings, quality.others.ratings) == (80, 100)
    assert quality.recommended.liked == 0.25
    assert quality.recommended.stars == 2.0
    assert quality.gain == pytest.approx(-0.5)
    assert quality.low < -0.5 < quality.high < -0.3
    assert quality.enough
    assert (quality.lists, quality.rated_share, quality.by_version) == (None, None, {})


def test_only_movies_of_the_quoted_list_count_with_recorded_lists() -> None:
    lists = [List("a", 3, (1, 2)), List("b", 4, (7,)), List("c", 4, (1,))]
    ratings = [
        StoredRating(1, 1, 4.0, 10, "a"),
        StoredRating(1, 2, 2.0, 10, "a"),
        StoredRating(1, 9, 5.0, 10, "a"),  # was not on the list
        StoredRating(2, 7, 3.5, 10, "b"),
        StoredRating(3, 1, 5.0, 10, "unknown"),  # its list is not recorded
        StoredRating(3, 2, 5.0, 10, None),
    ]
    quality = measure_live_quality(ratings, lists, seed=0)
    assert (quality.recommended.ratings, quality.recommended.people) == (3, 2)
    assert quality.others.ratings == 2
    assert quality.lists == 3
    assert quality.rated_share == pytest.approx(2 / 3)
    assert {number: entry.liked for number, entry in quality.by_version.items()} == {3: 0.5, 4: 1.0}
    assert not quality.enough


def test_quality_of_no_ratings_is_undefined() -> None:
    quality = measure_live_quality([], [], seed=0)
    assert (quality.lists, quality.rated_share) == (0, None)
    assert math.isnan(quality.gain)
    assert not quality.enough


@given(st.integers(1, 200), st.data())
def test_liked_share_has_wilsons_interval(n: int, data: st.DataObject) -> None:
    liked = data.draw(st.integers(0, n))
    ratings = rated(n, liked=liked / n, request_id=None)
    quality = measure_live_quality(ratings, None, seed=0).others
    # Wilson's interval has the shares p with |p - share| = z sqrt(p (1 - p) / n) as its ends.
    share, z = quality.liked, 1.959964
    for end in (quality.low, quality.high):
        assert abs(end - share) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-6)
    assert 0 <= quality.low <= share <= quality.high <= 1


def test_wilsons_interval_of_five_likes_in_ten() -> None:
    ratings = rated(10, liked=0.5, request_id=None)
    quality = measure_live_quality(ratings, None, seed=0).others
    assert (round(quality.low, 4), round(quality.high, 4)) == (0.2366, 0.7634)
