"""Events of users are stored, listed and deleted; each counts at once."""

from __future__ import annotations

import time

import pytest

from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.errors import FeedbackUnavailable
from moovier.serving.user_events import delete_events, events_of, store_events
from tests.unit.serving.toy_context import Toy, champion, toy_of
from tests.unit.serving.toy_users import MOVIES

REQUEST = "a" * 32


def test_events_are_stored_with_their_list_and_the_present_moment(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    user, now = 720_001, 1_790_000_000
    monkeypatch.setattr(time, "time", lambda: now + 0.9)
    events = [(MOVIES[0], "finished", 1000), (MOVIES[1], "clicked", None)]
    added, model = toy.run(store_events(toy.context, user, events, request_id=REQUEST))
    assert (added.stored, added.ignored) == (2, 0)
    assert model is champion()
    stored = events_of(toy.context, user)
    assert [(event.movie_id, event.kind, event.timestamp) for event in stored] == [
        (MOVIES[0], "finished", 1000),
        (MOVIES[1], "clicked", now),
    ]
    assert {event.request_id for event in stored} == {REQUEST}


def test_events_of_movies_outside_the_catalogue_are_refused(toy: Toy) -> None:
    user = 720_002
    events = [(MOVIES[0], "clicked", 1), (9998, "clicked", 1), (9999, "clicked", 1)]
    with pytest.raises(BadRequest, match="unknown movie 9998, 9999"):
        toy.run(store_events(toy.context, user, events, request_id=None))
    assert list(events_of(toy.context, user)) == [], "all or none"


@pytest.mark.parametrize(
    ("movie", "kind", "left"),
    [
        (None, None, []),
        (MOVIES[0], None, [(MOVIES[1], "clicked")]),
        (None, "clicked", [(MOVIES[0], "viewed")]),
        (MOVIES[0], "clicked", [(MOVIES[0], "viewed"), (MOVIES[1], "clicked")]),
        (MOVIES[2], None, [(MOVIES[0], "viewed"), (MOVIES[0], "clicked"), (MOVIES[1], "clicked")]),
    ],
    ids=["all", "of a movie", "of a kind", "of a movie and a kind", "of a movie without any"],
)
def test_events_are_deleted_by_movie_and_kind(
    toy: Toy, movie: int | None, kind: str | None, left: list[tuple[int, str]]
) -> None:
    user = 720_003
    toy.run(delete_events(toy.context, user, None, None))
    events = [(MOVIES[0], "viewed", 1), (MOVIES[0], "clicked", 2), (MOVIES[1], "clicked", 3)]
    toy.run(store_events(toy.context, user, events, request_id=None))
    deleted = toy.run(delete_events(toy.context, user, movie, kind))
    assert deleted == 3 - len(left)
    assert [(event.movie_id, event.kind) for event in events_of(toy.context, user)] == left


def test_a_user_without_events_has_none(toy: Toy) -> None:
    assert list(events_of(toy.context, 720_004)) == []


def test_before_the_first_read_nothing_is_answered() -> None:
    toy = toy_of(FeedbackCache("sqlite:////nowhere/at/all.db"))
    with pytest.raises(FeedbackUnavailable):
        events_of(toy.context, 7)
