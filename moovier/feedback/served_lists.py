"""Store and read served lists, to which ratings are joined by request id.

The arm names the model behind a list:

- ``champion`` and ``challenger``: requests that name no model.
- ``shadow``: the list that the challenger would have served. No user saw it; it has the request
  id of the list that the user saw.
- ``other``: requests that name a model, and popular movies while there is no champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, select, tuple_

from moovier.feedback import schema
from moovier.feedback.upsert import ROWS_AT_ONCE, in_parts, insert_into

CHAMPION_ARM, CHALLENGER_ARM, SHADOW_ARM, OTHER_ARM = "champion", "challenger", "shadow", "other"
#: Rows read or deleted at once.
PAGE = 5_000


@dataclass(frozen=True, slots=True)
class ServedList:
    """One page of recommended movies.

    ``served_at``: seconds since 1970. ``version``: number of the model version. ``user_id``: None
    for a visitor without an id. ``source``: ``model`` or ``popular``, as in the response.
    ``movie_ids``: MovieLens ids, best first. ``experiment``: the experiment that assigned the
    arm, None where none ran. ``request_id`` and ``arm`` together are unique.
    """

    request_id: str
    arm: str
    served_at: int
    version: int
    user_id: int | None
    source: str
    movie_ids: tuple[int, ...]
    experiment: str | None = None


def insert(connection: Connection, served: Sequence[ServedList]) -> int:
    """Store lists that are not stored yet, and return their number.

    Lists of users who deleted all ratings after they were served are left out.
    """
    table = schema.lists
    deleted = _deletion_times(
        connection, {page.user_id for page in served if page.user_id is not None}
    )
    rows = [
        _to_row(page)
        for page in served
        if page.user_id is None or deleted.get(page.user_id, -1) < page.served_at
    ]
    stored = 0
    for part in in_parts(rows):
        new = insert_into(connection, table).values(part).on_conflict_do_nothing()
        stored += len(connection.execute(new.returning(table.c.arm)).all())
    return stored


def read(
    connection: Connection, since: int, until: int, *, after: ServedList | None
) -> list[ServedList]:
    """Return up to ``PAGE`` lists that follow ``after``, oldest first.

    ``since`` and ``until``: seconds since 1970; ``until`` is excluded.
    """
    table = schema.lists
    key = (table.c.served_at, table.c.request_id, table.c.arm)
    in_page = and_(table.c.served_at >= since, table.c.served_at < until)
    if after is not None:
        # The tuple comparison implies the first condition, but only that one can use an index.
        in_page = and_(
            table.c.served_at >= after.served_at,
            table.c.served_at < until,
            tuple_(*key) > (after.served_at, after.request_id, after.arm),
        )
    rows = connection.execute(select(table).where(in_page).order_by(*key).limit(PAGE))
    return [
        ServedList(
            request_id=row.request_id,
            arm=row.arm,
            served_at=row.served_at,
            version=row.version,
            user_id=row.user_id,
            source=row.source,
            movie_ids=_movie_ids(row.movie_ids),
            experiment=row.experiment,
        )
        for row in rows
    ]


def _movie_ids(text: object) -> tuple[int, ...]:
    """Return the ids in a text, without those that somebody damaged."""
    words = text.split() if isinstance(text, str) else []
    return tuple(int(word) for word in words if word.isascii() and word.isdecimal())


def forget_user(connection: Connection, user_id: int) -> None:
    """Delete all lists of one user."""
    connection.execute(delete(schema.lists).where(schema.lists.c.user_id == user_id))


def forget_some(connection: Connection, before: int) -> int:
    """Delete up to ``PAGE`` lists served before ``before``, and return their number."""
    table = schema.lists
    old = select(table.c.request_id, table.c.arm).where(table.c.served_at < before).limit(PAGE)
    key = tuple_(table.c.request_id, table.c.arm)
    return connection.execute(delete(table).where(key.in_(old))).rowcount


def _deletion_times(connection: Connection, users: set[int]) -> dict[int, int]:
    """Return when each user last deleted all ratings, for the users who did."""
    table, ids = schema.deleted_users, sorted(users)
    times: dict[int, int] = {}
    for start in range(0, len(ids), ROWS_AT_ONCE):
        part = ids[start : start + ROWS_AT_ONCE]
        rows = connection.execute(select(table).where(table.c.user_id.in_(part)))
        times.update({row.user_id: row.deleted_at for row in rows})
    return times


def _to_row(page: ServedList) -> dict[str, object]:
    return {
        "request_id": page.request_id,
        "arm": page.arm,
        "served_at": page.served_at,
        "version": page.version,
        "user_id": page.user_id,
        "source": page.source,
        "movie_ids": " ".join(map(str, page.movie_ids)),
        "experiment": page.experiment,
    }
