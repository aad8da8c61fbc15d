"""Own writes are distinguished from those of other processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from moovier.feedback.database import Database
from moovier.feedback.write_counter import WriteCounter


@pytest.fixture
def own(sqlite_url: str) -> Iterator[Database]:
    with contextlib.closing(Database.open(sqlite_url)) as database:
        yield database


@pytest.fixture
def other(sqlite_url: str, own: Database) -> Iterator[Database]:
    """Return the database as another process has it open."""
    with contextlib.closing(Database.open(sqlite_url)) as database:
        yield database


def others_wrote(database: Database) -> bool:
    with database.reading() as connection:
        return database.write_counter.others_wrote(connection)


def write(database: Database) -> None:
    with database.writing(1):
        pass


def test_own_writes_are_distinguished_in_any_order(own: Database, other: Database) -> None:
    assert others_wrote(own), "the first call cannot know"
    assert not others_wrote(own)
    write(own)
    assert not others_wrote(own)
    write(other)
    write(own)
    assert others_wrote(own), "another's write before an own one"
    assert not others_wrote(own)
    write(own)
    write(other)
    assert others_wrote(own), "another's write after an own one"
    assert not others_wrote(own)


def test_number_of_a_failed_write_is_used_by_the_next_writer(
    own: Database, other: Database
) -> None:
    others_wrote(own)
    with pytest.raises(ZeroDivisionError), own.writing(1):
        raise ZeroDivisionError
    write(other)
    assert others_wrote(own)


def test_numbers_start_again_after_the_largest(own: Database, other: Database) -> None:
    """SQLite keeps the number in 32 bits with a sign."""
    with own.writing() as connection:
        connection.exec_driver_sql(f"PRAGMA user_version = {2**31 - 1}")
    others_wrote(own)
    write(own)
    assert not others_wrote(own)
    with own.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA user_version").scalar() == 1
    write(other)
    assert others_wrote(own)


def test_each_process_has_an_origin_of_its_own() -> None:
    assert WriteCounter().origin != WriteCounter().origin
