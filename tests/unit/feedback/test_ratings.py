"""Feedback is grouped by user; invalid values are refused with the value in the message."""

from __future__ import annotations

import math

import pytest

from moovier.errors import BadRequest
from moovier.feedback.ratings import (
    LONGEST_REQUEST_ID,
    Feedback,
    NewRating,
    StoredRating,
    UserFeedback,
    check_ids,
    check_rating,
    check_request_id,
)

FIRST = StoredRating(7, 1, 4.0, 100, None)
SECOND = StoredRating(7, 2, 0.5, 200, "r")
OTHER = StoredRating(8, 1, 5.0, 50, None)


def test_feedback_is_grouped_by_user() -> None:
    feedback = Feedback((FIRST, SECOND, OTHER), {(7, 3): 10, (9, 1): 20}, {8: 30, 10: 40})
    assert feedback.by_user() == {
        7: UserFeedback((FIRST, SECOND), frozenset({3})),
        8: UserFeedback((OTHER,), frozenset(), all_deleted_at=30),
        9: UserFeedback((), frozenset({1})),
        10: UserFeedback((), frozenset(), all_deleted_at=40),
    }


def test_movie_rated_after_its_deletion_is_not_deleted() -> None:
    feedback = Feedback((FIRST,), {(7, 1): 10, (7, 2): 10}).by_user()[7]
    assert feedback == UserFeedback((FIRST,), frozenset({2}))


@pytest.mark.parametrize(
    "feedback",
    [
        UserFeedback((FIRST,), frozenset()),
        UserFeedback((), frozenset({1})),
        UserFeedback((), frozenset(), all_deleted_at=0),
        Feedback((FIRST,)),
        Feedback(deleted={(7, 1): 0}),
        Feedback(deleted_users={7: 0}),
    ],
)
def test_any_rating_or_deletion_is_feedback(feedback: UserFeedback | Feedback) -> None:
    assert feedback


def test_nothing_is_no_feedback() -> None:
    assert not UserFeedback((), frozenset())
    assert not Feedback()
    assert Feedback().by_user() == {}


@pytest.mark.parametrize(
    ("rating", "message"),
    [
        (NewRating(0, 3, 1), "movie id 0 is not a positive"),
        (NewRating(2**63, 3, 1), f"movie id {2**63} is not a positive"),
        (NewRating(1, 3.3, 1), "steps of 0.5, not 3.3"),
        (NewRating(1, 0, 1), "steps of 0.5, not 0"),
        (NewRating(1, 5.5, 1), "steps of 0.5, not 5.5"),
        (NewRating(1, math.nan, 1), "steps of 0.5, not nan"),
        (NewRating(1, 3, -1), "timestamp -1"),
        (NewRating(1, 3, 1_700_000_000_000), "timestamp 1700000000000"),
    ],
)
def test_invalid_rating_is_refused_with_its_value(rating: NewRating, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        check_rating(rating)


@pytest.mark.parametrize("stars", [step / 2 for step in range(1, 11)])
def test_every_step_of_the_scale_is_valid(stars: float) -> None:
    check_rating(NewRating(2**63 - 1, stars, 0))


def test_ids_out_of_range_are_refused_by_name() -> None:
    check_ids(1, 2, 2**63 - 1)
    with pytest.raises(BadRequest, match="user id 0"):
        check_ids(0, 1)
    with pytest.raises(BadRequest, match="movie id -4"):
        check_ids(1, 2, -4)


def test_request_ids_are_printable_and_short() -> None:
    check_request_id(None)
    check_request_id("x" * LONGEST_REQUEST_ID)
    for request_id in ("x" * (LONGEST_REQUEST_ID + 1), "a\nb", "\ud800"):
        with pytest.raises(BadRequest, match="request id"):
            check_request_id(request_id)
