"""Convert rows of the database to values, each by itself.

SQLite takes any value in any column, and somebody may edit a table. A row that cannot be read is
named and left out; it does not take the others with it. A deletion is never left out while its ids
can be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from moovier.feedback.ratings import StoredRating, is_id, is_stars
from moovier.feedback.schema import deleted_ratings, deleted_users, ratings
from moovier.timestamps import TIMESTAMP_END, timestamp_problem

#: Longest value that a message repeats.
_MAX_SHOWN = 40


def to_ratings(rows: Iterable[Sequence[Any]]) -> tuple[tuple[StoredRating, ...], list[str]]:
    """Return the ratings by user, then oldest first, and what is wrong with the other rows.

    The order does not depend on the database. ``rows``: user id, movie id, stars, timestamp and
    request id.
    """
    good, problems = [], []
    for row in rows:
        problem = _rating_problem(*row)
        if problem is None:
            good.append(StoredRating(*row))
        else:
            ids = f"user {_shown(row[0])}, movie {_shown(row[1])}"
            problems.append(f"{ratings.name}: {ids}: {problem}")
    return tuple(sorted(good, key=lambda r: (r.user_id, r.timestamp, r.movie_id))), problems


def to_deletions(
    rows: Iterable[Sequence[Any]],
) -> tuple[dict[tuple[int, int], int], list[str]]:
    """Return the moment of each (user id, movie id), and the rows whose ids cannot be read.

    ``rows``: user id, movie id, and the moment of the deletion.
    """
    moments, problems = {}, []
    for user_id, movie_id, moment in rows:
        if _is_id(user_id) and _is_id(movie_id):
            moments[user_id, movie_id] = _moment(moment)
        else:
            problems.append(
                f"{deleted_ratings.name}: user {_shown(user_id)}, movie {_shown(movie_id)}: an id "
                "is not a positive number"
            )
    return moments, problems


def to_deleted_users(rows: Iterable[Sequence[Any]]) -> tuple[dict[int, int], list[str]]:
    """Return the moment of each user id, and the rows whose id cannot be read.

    ``rows``: user id, and the moment of the deletion.
    """
    moments, problems = {}, []
    for user_id, moment in rows:
        if _is_id(user_id):
            moments[user_id] = _moment(moment)
        else:
            problems.append(
                f"{deleted_users.name}: user {_shown(user_id)}: the id is not a positive number"
            )
    return moments, problems


def _rating_problem(
    user_id: Any, movie_id: Any, stars: Any, timestamp: Any, request_id: Any
) -> str | None:
    if not _is_id(user_id) or not _is_id(movie_id):
        return "an id is not a positive number"
    if type(stars) not in (int, float) or not is_stars(stars):
        return f"stars must be 0.5 to 5 in steps of 0.5, not {_shown(stars)}"
    if type(timestamp) is not int:
        return f"timestamp {_shown(timestamp)} is not a whole number"
    if (problem := timestamp_problem(timestamp)) is not None:
        return f"timestamp {timestamp} {problem}"
    if request_id is not None and not isinstance(request_id, str):
        return f"request id {_shown(request_id)} is not a text"
    return None


def _is_id(value: Any) -> bool:
    return type(value) is int and is_id(value)


def _moment(value: Any) -> int:
    """Return a moment; the latest one if it cannot be read, so that the deletion counts."""
    is_readable = type(value) is int and timestamp_problem(value) is None
    return int(value) if is_readable else TIMESTAMP_END


def _shown(value: Any) -> str:
    return repr(value)[:_MAX_SHOWN]
