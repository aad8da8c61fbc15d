"""The ratings of users as values: new, stored, and together with deletions.

A timestamp is in whole seconds since 1970 (UTC). Stars run from 0.5 to 5 in steps of 0.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from moovier.errors import BadRequest
from moovier.event_weights import HIDING
from moovier.timestamps import timestamp_problem

if TYPE_CHECKING:
    from moovier.feedback.events import StoredEvent

#: Longest request id that a rating may refer to, in characters.
LONGEST_REQUEST_ID = 100
_LARGEST_ID = 2**63 - 1


class NewRating(NamedTuple):
    """A rating of one movie, by MovieLens id, that the models have not been trained on."""

    movie_id: int
    stars: float
    timestamp: int


@dataclass(frozen=True, slots=True)
class StoredRating:
    """A rating in the database.

    ``request_id``: the recommended list that the user rated from, None where not given.
    """

    user_id: int
    movie_id: int
    stars: float
    timestamp: int
    request_id: str | None


@dataclass(frozen=True, slots=True)
class UserFeedback:
    """The stored ratings and deletions of one user.

    ``ratings``: oldest first. ``deleted``: ids of movies whose rating was deleted and not given
    again. ``all_deleted_at``: the moment at which the user deleted all ratings, None where never.
    Ratings up to that moment in a data set or a model must no longer count.

    ``events``: oldest first. ``implicit``: the ratings that the events count as, by weights that
    the database does not know; empty until somebody fills it in.
    """

    ratings: tuple[StoredRating, ...]
    deleted: frozenset[int]
    all_deleted_at: int | None = None
    events: tuple[StoredEvent, ...] = ()
    implicit: tuple[NewRating, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ratings or self.deleted or self.events) or self.all_deleted_at is not None

    @property
    def hidden(self) -> frozenset[int]:
        """Return the ids of movies that events leave out of the user's lists."""
        return frozenset(event.movie_id for event in self.events if event.kind in HIDING)


@dataclass(frozen=True, slots=True)
class Feedback:
    """The ratings and deletions of all users at one moment; an ingest merges them.

    ``ratings``: by user, then oldest first. ``deleted``: (user id, movie id) to the moment of the
    deletion. ``deleted_users``: user id to the moment. A deletion applies to ratings of the data
    set up to its moment; all of ``ratings`` count. ``events``: by user, then oldest first.
    ``unreadable``: what is wrong with rows of ratings and events that are left out, one line each;
    ``unreadable_deletions``: the same for deletions.
    """

    ratings: tuple[StoredRating, ...] = ()
    deleted: Mapping[tuple[int, int], int] = field(default_factory=dict)
    deleted_users: Mapping[int, int] = field(default_factory=dict)
    events: tuple[StoredEvent, ...] = ()
    unreadable: tuple[str, ...] = ()
    unreadable_deletions: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ratings or self.deleted or self.deleted_users or self.events)

    def by_user(self) -> dict[int, UserFeedback]:
        """Group the feedback by user id."""
        ratings: dict[int, list[StoredRating]] = {}
        for rating in self.ratings:
            ratings.setdefault(rating.user_id, []).append(rating)
        deleted: dict[int, set[int]] = {}
        for user_id, movie_id in self.deleted:
            deleted.setdefault(user_id, set()).add(movie_id)
        events: dict[int, list[StoredEvent]] = {}
        for event in self.events:
            events.setdefault(event.user_id, []).append(event)
        return {
            user: user_feedback(
                ratings.get(user, ()),
                deleted.get(user, ()),
                self.deleted_users.get(user),
                events.get(user, ()),
            )
            for user in {*ratings, *deleted, *self.deleted_users, *events}
        }


def user_feedback(
    ratings: Iterable[StoredRating],
    deleted: Iterable[int],
    all_deleted_at: int | None,
    events: Iterable[StoredEvent] = (),
) -> UserFeedback:
    """Build one user's feedback; a movie that is rated again no longer counts as deleted."""
    ratings = tuple(ratings)
    rated = {rating.movie_id for rating in ratings}
    return UserFeedback(ratings, frozenset(deleted) - rated, all_deleted_at, tuple(events))


def is_id(value: int) -> bool:
    """Return whether ``value`` is a positive 64-bit number."""
    return 0 < value <= _LARGEST_ID


def is_stars(value: float) -> bool:
    """Return whether ``value`` is 0.5 to 5 in steps of 0.5."""
    return 0.5 <= value <= 5 and float(value * 2).is_integer()


def check_ids(user_id: int, *movie_ids: int) -> None:
    """Refuse ids out of range.

    Raises:
        BadRequest: an id is not a positive 64-bit number.
    """
    for name, value in (("user", user_id), *(("movie", movie_id) for movie_id in movie_ids)):
        if not is_id(value):
            raise BadRequest(f"{name} id {value} is not a positive 64-bit number")


def check_rating(rating: NewRating) -> None:
    """Refuse a rating that the data set's schema would refuse, before an ingest meets it.

    Raises:
        BadRequest: the movie id, the stars or the timestamp is out of range.
    """
    if not is_id(rating.movie_id):
        raise BadRequest(f"movie id {rating.movie_id} is not a positive 64-bit number")
    if not is_stars(rating.stars):
        raise BadRequest(f"stars must be 0.5 to 5 in steps of 0.5, not {rating.stars}")
    if problem := timestamp_problem(rating.timestamp):
        raise BadRequest(f"timestamp {rating.timestamp} {problem}")


def check_request_id(request_id: str | None) -> None:
    """Refuse a request id that is too long or not printable.

    Raises:
        BadRequest: the request id is neither None nor valid.
    """
    if request_id is None:
        return
    if len(request_id) > LONGEST_REQUEST_ID or not request_id.isprintable():
        raise BadRequest(
            f"request id {request_id[:20]!r} is invalid: give at most {LONGEST_REQUEST_ID} "
            "printable characters"
        )
