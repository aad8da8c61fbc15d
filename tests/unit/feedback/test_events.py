"""Events in the store, and the ratings that they count as."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from moovier.errors import BadRequest
from moovier.event_weights import EVENT_KINDS
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.events import (
    NewEvent,
    StoredEvent,
    implicit_ratings,
    merge_events,
)
from moovier.feedback.ratings import NewRating, StoredRating, UserFeedback
from moovier.feedback.store import Added, FeedbackStore

WEIGHTS: dict[str, float] = dict.fromkeys(EVENT_KINDS, 0.0)
WEIGHTS |= {"clicked": 0.2, "finished": 0.6, "not_for_me": -0.8}


def stored(movie: int, kind: str, timestamp: int, user: int = 1) -> StoredEvent:
    return StoredEvent(user, movie, kind, timestamp, None)


def test_events_are_stored_once_with_their_newest_time(store: FeedbackStore) -> None:
    events = [NewEvent(10, "clicked", 100), NewEvent(10, "finished", 90)]
    assert store.add_events(1, events, request_id="r") == Added(2, 0, replayed=False)
    assert store.add_events(1, events, request_id="r") == Added(2, 0, replayed=False)
    assert store.add_events(1, [NewEvent(10, "clicked", 99)]) == Added(0, 1, replayed=False)
    store.add_events(2, [NewEvent(10, "clicked", 5), NewEvent(10, "clicked", 7)])
    assert store.of_user(1).events == (
        StoredEvent(1, 10, "finished", 90, "r"),
        StoredEvent(1, 10, "clicked", 100, "r"),
    )
    assert store.everything().events[2:] == (stored(10, "clicked", 7, user=2),)
    assert [len(own.events) for own in store.everything().by_user().values()] == [2, 1]


def test_many_events_fit_into_one_call(store: FeedbackStore) -> None:
    events = [NewEvent(movie, "shown", 1) for movie in range(1, 2502)]
    assert store.add_events(1, events).stored == 2501


def test_events_are_deleted_by_movie_and_kind(store: FeedbackStore) -> None:
    store.add_events(1, [NewEvent(m, k, 5) for m in (1, 2, 3) for k in ("seen", "clicked")])
    store.add_events(2, [NewEvent(1, "seen", 5)])
    assert store.delete_events(1, 1, "seen") == 1
    assert store.delete_events(1, 2) == 2
    assert store.delete_events(1, kind="clicked") == 2
    assert store.of_user(1).events == (stored(3, "seen", 5),)
    assert store.delete_events(1) == 1
    assert len(store.of_user(2).events) == 1


def test_deleting_a_user_deletes_the_events(store: FeedbackStore) -> None:
    store.add(1, [NewRating(5, 4, 1)])
    store.add_events(1, [NewEvent(5, "seen", 5)])
    # Deleting one rating is no reason to show the movie again.
    store.delete(1, 5)
    assert store.of_user(1).events
    store.delete(1)
    assert store.of_user(1).events == ()
    store.add_events(1, [NewEvent(6, "seen", 5)])
    assert store.of_user(1).hidden == {6}


@pytest.mark.parametrize(
    "event", [NewEvent(0, "seen", 1), NewEvent(1, "watched", 1), NewEvent(1, "seen", 10**12)]
)
def test_invalid_events_are_refused(store: FeedbackStore, event: NewEvent) -> None:
    with pytest.raises(BadRequest):
        store.add_events(1, [NewEvent(9, "seen", 1), event])
    assert store.of_user(1).events == ()


def test_unreadable_events_are_named_and_left_out(store: FeedbackStore) -> None:
    store.add_events(1, [NewEvent(1, "seen", 1), NewEvent(2, "seen", 1)])
    with store.database.writing(1) as connection:
        connection.execute(text("UPDATE feedback_events SET event = 'odd' WHERE movie_id = 2"))
    assert store.of_user(1).events == (stored(1, "seen", 1),)
    (problem,) = store.everything().unreadable
    assert "feedback_events: user 1, movie 2: unknown event 'odd'" in problem


def test_strongest_event_of_an_unrated_movie_counts_as_a_rating() -> None:
    feedback = UserFeedback(
        ratings=(StoredRating(1, 4, 2.0, 1, None),),
        deleted=frozenset(),
        events=(
            stored(4, "finished", 2),
            stored(3, "not_for_me", 3),
            stored(2, "finished", 4),
            stored(1, "seen", 5),
            stored(2, "clicked", 6),
            stored(3, "finished", 7),
        ),
    )
    assert implicit_ratings(feedback, WEIGHTS) == (NewRating(2, 4.5, 4), NewRating(3, 0.5, 3))
    assert feedback.hidden == {1, 2, 3, 4}


def test_events_become_ratings_of_data_without_stars(store: FeedbackStore) -> None:
    store.add(2, [NewRating(1, 5, 9)])
    store.add_events(2, [NewEvent(1, "clicked", 3), NewEvent(7, "clicked", 3)])
    store.add_events(1, [NewEvent(7, "not_for_me", 3), NewEvent(8, "shown", 3)])
    assert [
        (rating.user_id, rating.movie_id, rating.stars)
        for rating in merge_events(store.everything(), WEIGHTS).ratings
    ] == [(1, 7, 0.5), (2, 7, 4.0), (2, 1, 5.0)]


def test_cache_counts_events_at_once_and_after_a_reload(sqlite_url: str) -> None:
    cache = FeedbackCache(sqlite_url, WEIGHTS)
    cache.reload()
    before = cache.revision(1)
    cache.add_events(1, [NewEvent(3, "finished", 8)], request_id=None)
    assert cache.revision(1) != before
    for _ in range(2):
        feedback = cache.for_user(1)
        assert feedback is not None
        assert feedback.implicit == (NewRating(3, 4.5, 8),)
        cache.reload()
    assert cache.delete_events(1, 3, "finished") == 1
    assert cache.for_user(1) is None
    cache.close()
