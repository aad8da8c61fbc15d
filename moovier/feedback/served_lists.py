"""Lists of movies as they were served: what feedback that quotes a request id was about.

The arm says whose turn it was: ``champion`` and ``challenger`` for what was asked without a
model's name, ``shadow`` for what the challenger would have shown (nobody saw it; it has the request
id of the list that was seen), ``other`` for a model asked for by name, and for what is popular
while there is no champion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, delete, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from moovier.feedback import schema

CHAMPION_ARM, CHALLENGER_ARM, SHADOW_ARM, OTHER_ARM = "champion", "challenger", "shadow", "other"
#: Rows read or deleted at once.
PAGE = 5_000
#: SQLite takes 32,766 values in one statement.
_ROWS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class ServedList:
    """One page of movies.

    ``served_at``: seconds since 1970; ``version``: number of the model version that made it;
    ``user_id``: None for somebody who came with ratings alone; ``source``: as in the answer,
    ``model`` or ``popular``; ``movie_ids``: MovieLens ids, best first; ``experiment``: what drew
    the arm, None where no experiment did. ``request_id`` and ``arm`` together are unique.
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
    """Store what is not there yet, without the lists of people who deleted everything since."""
    table = schema.lists
    upsert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    deleted = _deleted(connection, {one.user_id for one in served if one.user_id is not None})
    rows = [
        _row(one)
        for one in served
        if one.user_id is None or deleted.get(one.user_id, -1) < one.served_at
    ]
    stored = 0
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        new = upsert(table).values(rows[start : start + _ROWS_AT_ONCE]).on_conflict_do_nothing()
        stored += len(connection.execute(new.returning(table.c.arm)).all())
    return stored


def read(
    connection: Connection, since: int, until: int, *, after: ServedList | None
) -> list[ServedList]:
    """Up to ``PAGE`` lists of that time, oldest first, those that follow ``after``."""
    table = schema.lists
    key = (table.c.served_at, table.c.request_id, table.c.arm)
    wanted = and_(table.c.served_at >= since, table.c.served_at < until)
    if after is not None:
        # The first condition says what the second implies: it is the one an index serves.
        wanted = and_(
            table.c.served_at >= after.served_at,
            table.c.served_at < until,
            tuple_(*key) > (after.served_at, after.request_id, after.arm),
        )
    found = connection.execute(select(table).where(wanted).order_by(*key).limit(PAGE))
    return [
        ServedList(
            request_id=row.request_id,
            arm=row.arm,
            served_at=row.served_at,
            version=row.version,
            user_id=row.user_id,
            source=row.source,
            movie_ids=tuple(map(int, row.movie_ids.split())),
            experiment=row.experiment,
        )
        for row in found
    ]


def forget_user(connection: Connection, user_id: int) -> None:
    """Delete what was recorded for one person."""
    connection.execute(delete(schema.lists).where(schema.lists.c.user_id == user_id))


def forget_some(connection: Connection, before: int) -> int:
    """Delete up to ``PAGE`` lists served before ``before``; how many they were."""
    table = schema.lists
    old = select(table.c.request_id, table.c.arm).where(table.c.served_at < before).limit(PAGE)
    key = tuple_(table.c.request_id, table.c.arm)
    return connection.execute(delete(table).where(key.in_(old))).rowcount


def _deleted(connection: Connection, users: set[int]) -> dict[int, int]:
    """Moment at which each of the people last deleted everything, of those who did."""
    table, found, ids = schema.deleted_users, {}, sorted(users)
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        some = ids[start : start + _ROWS_AT_ONCE]
        rows = connection.execute(select(table).where(table.c.user_id.in_(some)))
        found.update({row.user_id: row.deleted_at for row in rows})
    return found


def _row(one: ServedList) -> dict[str, object]:
    return {
        "request_id": one.request_id,
        "arm": one.arm,
        "served_at": one.served_at,
        "version": one.version,
        "user_id": one.user_id,
        "source": one.source,
        "movie_ids": " ".join(map(str, one.movie_ids)),
        "experiment": one.experiment,
    }
