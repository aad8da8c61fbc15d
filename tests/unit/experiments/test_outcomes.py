from __future__ import annotations

import math

import pytest

from moovier.experiments.outcomes import compare_shadows, join_outcomes, overlap
from moovier.feedback.ratings import StoredRating
from moovier.feedback.served_lists import ServedList

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


def liked_by_user(
    lists: list[ServedList], ratings: list[StoredRating], now: int = 10 * DAY
) -> dict[int, float]:
    result = join_outcomes(lists, ratings, experiment="one", window_s=DAY, now=START + now)
    return dict(zip(result.users.tolist(), result.liked.tolist(), strict=True))


def test_liked_recommendations_count_once_per_user() -> None:
    lists = [served(1, 0, (10, 11, 12)), served(2, 1, (10, 11)), served(3, 2, (10,), "challenger")]
    ratings = [
        rated(1, 10, 3.5, 5),
        rated(1, 11, 5, 6),
        rated(2, 10, 3, 5),
        rated(3, 99, 5, 5),
    ]
    assert liked_by_user(lists, ratings) == {1: 1, 2: 0, 3: 0}


def test_users_are_in_the_order_of_their_first_lists() -> None:
    lists = [served(9, 0, (1,)), served(4, 1, (1,), "challenger"), served(7, 2, (1,))]
    ratings = [rated(7, 1, 2, 3), rated(9, 1, 4, 3), rated(9, 1, 2, 4)]
    result = join_outcomes(lists, ratings, experiment="one", window_s=DAY, now=START + 10 * DAY)
    assert result.users.tolist() == [9, 4, 7]
    assert result.challenger.tolist() == [False, True, False]
    assert result.stars[[0, 2]].tolist() == [3, 2]
    assert math.isnan(result.stars[1])


def test_only_ratings_within_the_window_count() -> None:
    lists = [served(user, 100, (10,)) for user in (1, 2, 3)] + [served(3, 2 * DAY, (20,))]
    ratings = [
        rated(1, 10, 5, 100 + DAY),
        rated(2, 10, 5, 101 + DAY),
        rated(3, 20, 5, 2 * DAY + 5),
    ]
    assert liked_by_user(lists, ratings) == {1: 1, 2: 0, 3: 0}


def test_rating_before_the_recommendation_does_not_count() -> None:
    lists = [served(1, 100, (10,)), served(1, 200, (20,))]
    assert liked_by_user(lists, [rated(1, 10, 5, 99), rated(1, 20, 5, 150)]) == {1: 0}
    assert liked_by_user(lists, [rated(1, 20, 5, 200)]) == {1: 1}


def test_users_with_an_open_window_are_waiting() -> None:
    lists = [served(1, 0, (10,)), served(2, 500, (10,)), served(3, 600, (10,), "challenger")]
    result = join_outcomes(
        lists, [rated(2, 10, 5, 501)], experiment="one", window_s=DAY, now=START + DAY + 500
    )
    # User 2 has liked a movie already, but counting early likes alone would be biased.
    assert result.users.tolist() == [1]
    assert result.waiting == (1, 1)


def test_lists_outside_the_experiment_do_not_count() -> None:
    lists = [
        served(1, 0, (10,), experiment=None),
        served(2, 0, (10,), experiment="another"),
        served(3, 0, (10,), "other"),
        served(4, 0, (10,), "shadow"),
        served(None, 0, (10,)),
    ]
    assert liked_by_user(lists, [rated(user, 10, 5, 1) for user in (1, 2, 3, 4)]) == {}


def test_no_lists_give_no_outcomes() -> None:
    result = join_outcomes([], [], experiment="one", window_s=DAY, now=START)
    assert (
        result.users.size == result.challenger.size == result.liked.size == result.stars.size == 0
    )
    assert result.waiting == (0, 0)


def test_shadow_lists_are_paired_by_request_id() -> None:
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
        rated(1, 1, 4, 10),  # on both lists
        rated(1, 3, 5, 10),  # the champion's
        rated(1, 9, 3.5, 10),  # the shadow's
        rated(1, 8, 2, 10),  # not liked
        rated(2, 2, 5, 1),  # before it was shown
        rated(3, 1, 5, 10),  # in no pair
    ]
    result = compare_shadows(lists, ratings, experiment="one")
    assert (result.pairs, result.short) == (2, 1)
    assert result.overlap == pytest.approx((0.5 + 1.0) / 2)
    assert result.liked == (2, 2, 1)


def test_no_lists_give_no_pairs() -> None:
    result = compare_shadows([], [], experiment="one")
    assert (result.pairs, result.short, result.liked) == (0, 0, (0, 0, 0))
    assert math.isnan(result.overlap)


def test_overlap_compares_the_first_ten_movies() -> None:
    assert overlap(range(10), range(10, 20)) == 0
    assert overlap(range(20), [*range(5), *range(30, 35), *range(5, 10)]) == 0.5
    assert overlap([1, 2], [2, 1, 3]) == 1
    assert overlap([], [1]) is None
