"""Ratings of users are stored, listed and deleted."""

from __future__ import annotations

import time
from typing import Any

import pytest

from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.errors import FeedbackUnavailable, IdempotencyConflict
from moovier.serving.ratings import delete_ratings, ratings_of, store_ratings
from tests.unit.serving.toy_context import Toy, champion, toy_of
from tests.unit.serving.toy_users import MOVIES


def store(toy: Toy, user: int, *ratings: tuple[int, float, int | None], **fields: Any) -> Any:
    options = {"request_id": None, "idempotency_key": None, "content": b"body", **fields}
    return toy.run(store_ratings(toy.context, user, ratings, **options))


def listed(toy: Toy, user: int) -> list[tuple[int, float, int]]:
    return [(r.movie_id, r.stars, r.timestamp) for r in ratings_of(toy.context, user)]


def test_ratings_are_stored_oldest_first_with_the_present_moment(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_790_000_000
    monkeypatch.setattr(time, "time", lambda: now + 0.9)
    added, model = store(toy, 730_001, (MOVIES[0], 4.0, None), (MOVIES[1], 0.5, 77))
    assert (added.stored, added.ignored, model) == (2, 0, champion())
    assert listed(toy, 730_001) == [(MOVIES[1], 0.5, 77), (MOVIES[0], 4.0, now)]
    added, _ = store(toy, 730_001, (MOVIES[0], 1.0, now - 1))
    assert (added.stored, added.ignored) == (0, 1), "a newer rating is stored already"


def test_a_movie_outside_the_catalogue_is_refused_with_all_others(toy: Toy) -> None:
    with pytest.raises(BadRequest, match="unknown movie 9999"):
        store(toy, 730_002, (MOVIES[0], 4.0, 1), (9999, 4.0, 1))
    assert listed(toy, 730_002) == []


def test_a_repeated_request_is_stored_once(toy: Toy) -> None:
    first, _ = store(toy, 730_003, (MOVIES[0], 4.0, 1), idempotency_key="k1")
    again, _ = store(toy, 730_003, (MOVIES[0], 4.0, 1), idempotency_key="k1")
    assert (first.replayed, again.replayed, again.stored) == (False, True, 1)
    with pytest.raises(IdempotencyConflict):
        store(toy, 730_003, (MOVIES[0], 4.0, 1), idempotency_key="k1", content=b"other")


def test_one_or_all_ratings_are_deleted(toy: Toy) -> None:
    store(toy, 730_004, (MOVIES[0], 4.0, 1), (MOVIES[1], 4.0, 2), (MOVIES[2], 4.0, 3))
    assert toy.run(delete_ratings(toy.context, 730_004, MOVIES[1])) == 1
    assert toy.run(delete_ratings(toy.context, 730_004, MOVIES[1])) == 0
    assert [movie for movie, _, _ in listed(toy, 730_004)] == [MOVIES[0], MOVIES[2]]
    assert toy.run(delete_ratings(toy.context, 730_004, None)) == 2
    assert listed(toy, 730_004) == []


def test_before_the_first_read_nothing_is_answered() -> None:
    toy = toy_of(FeedbackCache("sqlite:////nowhere/at/all.db"))
    with pytest.raises(FeedbackUnavailable):
        ratings_of(toy.context, 7)
