"""Events that users cause besides ratings, and the ratings that they count as.

One event of each user, movie and kind is stored, the newest. Sending an event again changes only
its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from moovier.errors import BadRequest
from moovier.event_weights import EVENT_KINDS, stars_of_weight
from moovier.feedback.ratings import Feedback, NewRating, StoredRating, UserFeedback, is_id
from moovier.timestamps import timestamp_problem


class NewEvent(NamedTuple):
    """What a user did with a movie, by MovieLens id, at a time in Unix seconds."""

    movie_id: int
    kind: str
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event in the database.

    ``request_id``: the recommended list in which it happened, None where not given.
    """

    user_id: int
    movie_id: int
    kind: str
    timestamp: int
    request_id: str | None


def check_event(event: NewEvent) -> None:
    """Refuse an event that cannot be stored.

    Raises:
        BadRequest: the movie id, the kind or the timestamp is invalid.
    """
    if not is_id(event.movie_id):
        raise BadRequest(f"movie id {event.movie_id} is not a positive 64-bit number")
    if event.kind not in EVENT_KINDS:
        raise BadRequest(f"unknown event {event.kind!r}; choose from {', '.join(EVENT_KINDS)}")
    if problem := timestamp_problem(event.timestamp):
        raise BadRequest(f"timestamp {event.timestamp} {problem}")


def implicit_ratings(feedback: UserFeedback, weights: Mapping[str, float]) -> tuple[NewRating, ...]:
    """Return the ratings that a user's events count as, by movie id.

    Of a movie's events the one with the largest weight, without its sign, counts; of equal ones
    the newest. Movies that the user rated are left out, and so are events of weight 0.
    """
    rated = {rating.movie_id for rating in feedback.ratings}
    return tuple(
        NewRating(event.movie_id, stars_of_weight(weights[event.kind]), event.timestamp)
        for event in _strongest(feedback.events, weights)
        if event.movie_id not in rated
    )


def with_implicit(feedback: UserFeedback, weights: Mapping[str, float]) -> UserFeedback:
    """Return a user's feedback with the ratings that the events count as."""
    if not feedback.events:
        return feedback
    return replace(feedback, implicit=implicit_ratings(feedback, weights))


def merge_events(feedback: Feedback, weights: Mapping[str, float]) -> Feedback:
    """Return the feedback with the ratings that events count as, for data without stars."""
    ratings = list(feedback.ratings)
    for user, own in feedback.by_user().items():
        ratings += [
            StoredRating(user, rating.movie_id, rating.stars, rating.timestamp, None)
            for rating in implicit_ratings(own, weights)
        ]
    ratings.sort(key=lambda rating: (rating.user_id, rating.timestamp, rating.movie_id))
    return replace(feedback, ratings=tuple(ratings))


def _strongest(events: Iterable[StoredEvent], weights: Mapping[str, float]) -> list[StoredEvent]:
    """Return the event of each movie that counts, by movie id."""
    strongest: dict[int, StoredEvent] = {}

    def strength(event: StoredEvent) -> tuple[float, int, str]:
        return abs(weights[event.kind]), event.timestamp, event.kind

    for event in events:
        if not weights[event.kind]:
            continue
        other = strongest.get(event.movie_id)
        if other is None or strength(event) > strength(other):
            strongest[event.movie_id] = event
    return [strongest[movie_id] for movie_id in sorted(strongest)]
