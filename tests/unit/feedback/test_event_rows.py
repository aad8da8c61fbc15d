"""Rows of events: the newest of each kind stays, and rows that cannot be read are named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, create_engine, insert, text

from moovier.feedback import event_rows, schema
from moovier.feedback.events import NewEvent


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        schema.metadata.create_all(connection)
        yield connection
    engine.dispose()


def rows(connection: Connection, user: int | None = None) -> list[tuple[int, int, str, int]]:
    events, problems = event_rows.read(connection, user)
    assert problems == []
    return [(e.user_id, e.movie_id, e.kind, e.timestamp) for e in events]


def put(connection: Connection, user: int, *events: tuple[int, str, int]) -> int:
    return event_rows.upsert(connection, user, [NewEvent(*event) for event in events], None)


def test_each_kind_of_event_of_a_movie_is_a_row(connection: Connection) -> None:
    assert put(connection, 7, (1, "viewed", 5), (1, "clicked", 5), (2, "viewed", 5)) == 3
    assert len(rows(connection)) == 3
    assert put(connection, 7) == 0


def test_the_newest_event_of_a_request_and_of_the_table_stays(connection: Connection) -> None:
    assert put(connection, 7, (1, "viewed", 5), (1, "viewed", 9), (1, "viewed", 7)) == 1
    assert rows(connection) == [(7, 1, "viewed", 9)]
    assert put(connection, 7, (1, "viewed", 8)) == 0
    assert put(connection, 7, (1, "viewed", 9)) == 1, "the same again is stored"
    assert put(connection, 7, (1, "viewed", 10)) == 1
    assert rows(connection) == [(7, 1, "viewed", 10)]


def test_a_newer_event_brings_its_list(connection: Connection) -> None:
    for moment, list_id in ((5, "a"), (6, None)):
        event_rows.upsert(connection, 7, [NewEvent(1, "viewed", moment)], list_id)
        [stored], _ = event_rows.read(connection)
        assert stored.request_id == list_id


def test_events_are_by_user_then_oldest_first(connection: Connection) -> None:
    put(connection, 9, (3, "viewed", 1))
    put(connection, 7, (2, "viewed", 8), (1, "viewed", 8), (5, "clicked", 2), (1, "clicked", 8))
    assert rows(connection) == [
        (7, 5, "clicked", 2),
        (7, 1, "clicked", 8),
        (7, 1, "viewed", 8),
        (7, 2, "viewed", 8),
        (9, 3, "viewed", 1),
    ]
    assert rows(connection, 9) == [(9, 3, "viewed", 1)]
    assert rows(connection, 8) == []


@pytest.mark.parametrize(
    ("movie", "kind", "deleted"), [(None, None, 3), (1, None, 2), (None, "viewed", 2), (2, "x", 0)]
)
def test_events_are_removed_by_movie_and_kind(
    connection: Connection, movie: int | None, kind: str | None, deleted: int
) -> None:
    put(connection, 7, (1, "viewed", 5), (1, "clicked", 5), (2, "viewed", 5))
    put(connection, 8, (1, "viewed", 5))
    assert event_rows.remove(connection, 7, movie, kind) == deleted
    assert len(rows(connection)) == 4 - deleted


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"user_id": 0}, "the user id is not a positive number"),
        ({"user_id": "'x'"}, "an id or the timestamp is not a whole number"),
        ({"timestamp": "1.5"}, "an id or the timestamp is not a whole number"),
        ({"request_id": "x'00'"}, "the request id is not a text"),
        ({"event": "'laughed'"}, "laughed"),
        ({"movie_id": -4}, "movie"),
        ({"timestamp": 99_999_999_999_999}, "timestamp"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_left_out(
    connection: Connection, changed: dict[str, object], problem: str
) -> None:
    put(connection, 7, (1, "viewed", 5))
    values = {"user_id": 7, "movie_id": 2, "event": "'viewed'", "timestamp": 5,
              "request_id": "NULL", **changed}  # fmt: skip
    connection.execute(
        text(f"INSERT INTO feedback_events VALUES ({', '.join(map(str, values.values()))})")
    )
    events, [named] = event_rows.read(connection)
    assert [event.movie_id for event in events] == [1]
    assert named.startswith("feedback_events: user ")
    assert problem in named
    assert len(named) <= 200


def test_a_kind_that_a_later_version_knows_does_not_hide_the_others(connection: Connection) -> None:
    row = {"user_id": 7, "movie_id": 1, "event": "dreamt", "timestamp": 5, "request_id": None}
    connection.execute(insert(schema.events).values(**row))
    put(connection, 7, (1, "viewed", 5))
    events, problems = event_rows.read(connection, 7)
    assert [event.kind for event in events] == ["viewed"]
    assert len(problems) == 1
