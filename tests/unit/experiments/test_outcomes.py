from __future__ import annotations

import math

import pytest

from moovier.experiments.outcomes import outcomes_of, overlap, shadows_of
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import StoredRating

DAY = 86_400
START = 1_000_000


def served(
    user: int | None,
    at: int,
    movies: tuple[int, ...],
    arm: str = "champion",
    *,
    request: str | None = None,
    experiment: str | None = "one",
) -> ServedList:
    name = request or f"{user}-{at}"
    version = 3 if arm == "champion" else 4
    return ServedList(name, arm, START + at, version, user, "model", movies, experiment)


def rated(user: int, movie: int, stars: float, at: int) -> StoredRating:
    return StoredRating(user, movie, stars, START + at, None)


def of(
    lists: list[ServedList], ratings: list[StoredRating], now: int = 10 * DAY
) -> dict[int, float]:
    found = outcomes_of(lists, ratings, experiment="one", window_s=DAY, now=START + now)
    return dict(zip(found.users.tolist(), found.liked.tolist(), strict=True))


def test_a_liking_of_what_was_recommended_counts_once() -> None:
    lists = [served(1, 0, (10, 11, 12)), served(2, 1, (10, 11)), served(3, 2, (10,), "challenger")]
    ratings = [
        rated(1, 10, 3.5, 5),
        rated(1, 11, 5, 6),
        rated(2, 10, 3, 5),
        rated(3, 99, 5, 5),
    ]
    assert of(lists, ratings) == {1: 1, 2: 0, 3: 0}


def test_people_come_in_the_order_of_their_first_lists_with_their_arms() -> None:
    lists = [served(9, 0, (1,)), served(4, 1, (1,), "challenger"), served(7, 2, (1,))]
    ratings = [rated(7, 1, 2, 3), rated(9, 1, 4, 3), rated(9, 1, 2, 4)]
    found = outcomes_of(lists, ratings, experiment="one", window_s=DAY, now=START + 10 * DAY)
    assert found.users.tolist() == [9, 4, 7]
    assert found.challenger.tolist() == [False, True, False]
    assert found.stars[[0, 2]].tolist() == [3, 2]
    assert math.isnan(found.stars[1])


def test_only_the_window_after_the_first_list_counts() -> None:
    lists = [served(user, 100, (10,)) for user in (1, 2, 3)] + [served(3, 2 * DAY, (20,))]
    ratings = [
        rated(1, 10, 5, 100 + DAY),
        rated(2, 10, 5, 101 + DAY),
        rated(3, 20, 5, 2 * DAY + 5),
    ]
    assert of(lists, ratings) == {1: 1, 2: 0, 3: 0}


def test_what_was_rated_before_it_was_recommended_does_not_count() -> None:
    lists = [served(1, 100, (10,)), served(1, 200, (20,))]
    assert of(lists, [rated(1, 10, 5, 99), rated(1, 20, 5, 150)]) == {1: 0}
    assert of(lists, [rated(1, 20, 5, 200)]) == {1: 1}


def test_whose_window_is_open_is_waited_for() -> None:
    lists = [served(1, 0, (10,)), served(2, 500, (10,)), served(3, 600, (10,), "challenger")]
    found = outcomes_of(
        lists, [rated(2, 10, 5, 501)], experiment="one", window_s=DAY, now=START + DAY + 500
    )
    # Also who liked something already: those who did not yet cannot be counted.
    assert found.users.tolist() == [1]
    assert found.waiting == (1, 1)


def test_other_lists_do_not_count() -> None:
    lists = [
        served(1, 0, (10,), experiment=None),
        served(2, 0, (10,), experiment="another"),
        served(3, 0, (10,), "other"),
        served(4, 0, (10,), "shadow"),
        served(None, 0, (10,)),
    ]
    assert of(lists, [rated(user, 10, 5, 1) for user in (1, 2, 3, 4)]) == {}


def test_nobody() -> None:
    found = outcomes_of([], [], experiment="one", window_s=DAY, now=START)
    assert found.users.size == found.challenger.size == found.liked.size == found.stars.size == 0
    assert found.waiting == (0, 0)


def test_lists_are_paired_with_their_shadows_by_request() -> None:
    lists = [
        served(1, 0, (1, 2, 3, 4), request="a"),
        served(1, 1, (1, 2, 9, 8), "shadow", request="a"),
        served(2, 2, (1, 2), request="b"),
        served(2, 3, (1,), "shadow", request="b"),
        served(3, 4, (1, 2), request="alone"),
        served(4, 5, (1, 2), "shadow", request="lost"),
        served(5, 6, (1, 2), request="c", experiment="another"),
    ]
    ratings = [
        rated(1, 1, 4, 10),  # both had it
        rated(1, 3, 5, 10),  # the champion's
        rated(1, 9, 3.5, 10),  # the shadow's
        rated(1, 8, 2, 10),  # not liked
        rated(2, 2, 5, 1),  # before it was shown
        rated(3, 1, 5, 10),  # in no pair
    ]
    found = shadows_of(lists, ratings, experiment="one")
    assert (found.pairs, found.short) == (2, 1)
    assert found.overlap == pytest.approx((0.5 + 1.0) / 2)
    assert found.liked == (2, 2, 1)


def test_no_pairs() -> None:
    found = shadows_of([], [], experiment="one")
    assert (found.pairs, found.short, found.liked) == (0, 0, (0, 0, 0))
    assert math.isnan(found.overlap)


def test_overlap_looks_at_the_first_ten() -> None:
    assert overlap(range(10), range(10, 20)) == 0
    assert overlap(range(20), [*range(5), *range(30, 35), *range(5, 10)]) == 0.5
    assert overlap([1, 2], [2, 1, 3]) == 1
    assert overlap([], [1]) is None
