"""Insert rows unless newer ones are stored, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

#: SQLite takes 32,766 values in one statement.
ROWS_AT_ONCE = 1_000

Row = Mapping[str, object]
#: Both have the same clauses for conflicts.
Insert = postgresql.Insert | sqlite.Insert


def insert_into(connection: Connection, table: Table) -> Insert:
    """Return the statement of the connection's database that can handle conflicting rows."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def in_parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Yield the rows in parts that fit into one statement."""
    for start in range(0, len(rows), ROWS_AT_ONCE):
        yield rows[start : start + ROWS_AT_ONCE]


def upsert_newer(
    connection: Connection, table: Table, rows: Sequence[Row], changed: Sequence[str]
) -> int:
    """Store the rows that are not older than the stored ones, and return their number.

    Rows are equal by the table's primary key; the column ``timestamp`` decides which is newer.
    ``changed``: the columns that a newer row replaces.
    """
    stored = 0
    for part in in_parts(rows):
        new = insert_into(connection, table).values(part)
        statement = new.on_conflict_do_update(
            index_elements=list(table.primary_key.columns),
            set_={name: new.excluded[name] for name in changed},
            where=table.c.timestamp <= new.excluded.timestamp,
        ).returning(table.primary_key.columns.values()[0])
        stored += len(connection.execute(statement).all())
    return stored
