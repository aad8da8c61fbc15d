"""Read and write the rows of events within a transaction of the feedback store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, select

from moovier.errors import BadRequest
from moovier.feedback import schema
from moovier.feedback.events import NewEvent, StoredEvent, check_event
from moovier.feedback.ratings import is_id
from moovier.feedback.upsert import upsert_newer


def upsert(
    connection: Connection, user_id: int, events: Iterable[NewEvent], request_id: str | None
) -> int:
    """Store the events that are not older than the stored ones, and return their number."""
    newest: dict[tuple[int, str], NewEvent] = {}
    for event in events:
        other = newest.get(event[:2])
        if other is None or event.timestamp >= other.timestamp:
            newest[event[:2]] = event
    rows = [
        {
            "user_id": user_id,
            "movie_id": event.movie_id,
            "event": event.kind,
            "timestamp": event.timestamp,
            "request_id": request_id,
        }
        for _, event in sorted(newest.items())
    ]
    return upsert_newer(connection, schema.events, rows, ("timestamp", "request_id"))


def read(
    connection: Connection, user_id: int | None = None
) -> tuple[tuple[StoredEvent, ...], list[str]]:
    """Return the events of one user, or of all, and what is wrong with the other rows.

    They are by user, then oldest first. A row that cannot be read is named and left out.
    """
    table = schema.events
    statement = select(table)
    if user_id is not None:
        statement = statement.where(table.c.user_id == user_id)
    good, problems = [], []
    for row in connection.execute(statement):
        problem = _problem(row)
        if problem is None:
            good.append(StoredEvent(*row))
        else:
            problems.append(f"{table.name}: user {row[0]!r}, movie {row[1]!r}: {problem}"[:200])
    order = sorted(good, key=lambda e: (e.user_id, e.timestamp, e.movie_id, e.kind))
    return tuple(order), problems


def remove(
    connection: Connection, user_id: int, movie_id: int | None = None, kind: str | None = None
) -> int:
    """Delete a user's events: all, or those of one movie or kind; return their number."""
    table = schema.events
    statement = delete(table).where(table.c.user_id == user_id)
    if movie_id is not None:
        statement = statement.where(table.c.movie_id == movie_id)
    if kind is not None:
        statement = statement.where(table.c.event == kind)
    return connection.execute(statement).rowcount


def _problem(row: Sequence[Any]) -> str | None:
    user_id, movie_id, kind, timestamp, request_id = row
    if any(type(value) is not int for value in (user_id, movie_id, timestamp)):
        return "an id or the timestamp is not a whole number"
    if not is_id(user_id):
        return "the user id is not a positive number"
    if request_id is not None and not isinstance(request_id, str):
        return "the request id is not a text"
    try:
        check_event(NewEvent(movie_id, kind, timestamp))
    except BadRequest as error:
        return str(error)
    return None
