"""Rows are inserted unless newer ones are stored, in parts that a statement can take."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, select
from sqlalchemy.dialects import postgresql

from moovier.feedback import schema, upsert
from moovier.feedback.upsert import in_parts, upsert_newer


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        yield connection
    engine.dispose()


def row(movie: int, stars: float, timestamp: int, request_id: str | None = None) -> dict[str, Any]:
    return {"user_id": 7, "movie_id": movie, "stars": stars, "timestamp": timestamp,
            "request_id": request_id}  # fmt: skip


def put(connection: Connection, *rows: dict[str, Any]) -> int:
    changed = ("stars", "timestamp", "request_id")
    return upsert_newer(connection, schema.ratings, rows, changed)


def stored(connection: Connection) -> list[tuple[Any, ...]]:
    table = schema.ratings
    columns = (table.c.movie_id, table.c.stars, table.c.timestamp, table.c.request_id)
    return [tuple(found) for found in connection.execute(select(*columns).order_by(columns[0]))]


def test_new_and_newer_rows_are_stored_and_counted(connection: Connection) -> None:
    assert put(connection, row(1, 4.0, 5), row(2, 3.0, 5)) == 2
    newer, older, same, new = row(1, 2.0, 6, "r"), row(2, 1.0, 4), row(2, 3.0, 5), row(3, 5.0, 1)
    assert put(connection, newer, older, new) == 2
    assert put(connection, same) == 1
    assert stored(connection) == [(1, 2.0, 6, "r"), (2, 3.0, 5, None), (3, 5.0, 1, None)]


def test_only_the_named_columns_are_replaced(connection: Connection) -> None:
    put(connection, row(1, 4.0, 5, "r"))
    newer = [row(1, 2.0, 6, "other")]
    assert upsert_newer(connection, schema.ratings, newer, ("timestamp",)) == 1
    assert stored(connection) == [(1, 4.0, 6, "r")]


def test_no_rows_need_no_statement(connection: Connection) -> None:
    assert put(connection) == 0


@pytest.mark.parametrize(("n", "sizes"), [(0, []), (2, [2]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_many_rows_are_stored_in_parts(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, n: int, sizes: list[int]
) -> None:
    monkeypatch.setattr(upsert, "ROWS_AT_ONCE", 3)
    rows = [row(movie, 4.0, 5) for movie in range(1, n + 1)]
    assert [len(part) for part in in_parts(rows)] == sizes
    assert put(connection, *rows) == n
    assert len(stored(connection)) == n


def test_a_full_part_fits_into_a_statement_of_sqlite(connection: Connection) -> None:
    rows = [row(movie, 4.0, 5) for movie in range(1, upsert.ROWS_AT_ONCE + 2)]
    assert put(connection, *rows) == len(rows)


@pytest.mark.parametrize("name", ["postgresql", "sqlite"])
def test_the_statement_is_of_the_connections_database(name: str) -> None:
    connection: Any = SimpleNamespace(dialect=SimpleNamespace(name=name))
    statement = upsert.insert_into(connection, schema.ratings)
    assert isinstance(statement, postgresql.Insert) == (name == "postgresql")
