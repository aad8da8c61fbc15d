"""Concurrent starts, faults and writers of several processes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from filelock import FileLock

from moovier.errors import SettingsError
from moovier.feedback import schema
from moovier.feedback.database import Database, exists
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore

#: Opens the store after a line of input, then stores rating after rating and prints each movie.
WRITER = """
import sys
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
url, user, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
store = FeedbackStore.open(url)
for movie in range(1, count + 1):
    store.add(user, [NewRating(movie, 3.5, movie)], idempotency_key=str(movie))
    print(movie, flush=True)
"""


@contextlib.contextmanager
def writers(url: str, users: list[int], count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Start one process per user; all open the database at the same moment."""
    command = [sys.executable, "-c", WRITER, url]
    processes = [
        subprocess.Popen(
            [*command, str(user), str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for user in users
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_concurrent_processes_lose_no_rating(url: str) -> None:
    users = [1, 2, 2, 3]
    with writers(url, users, 60) as processes:
        for process in processes:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
    store = FeedbackStore.open(url)
    assert {user: len(store.of_user(user).ratings) for user in users} == {1: 60, 2: 60, 3: 60}
    store.close()


def test_concurrent_threads_lose_no_rating(url: str) -> None:
    store = FeedbackStore.open(url)

    def give(number: int) -> None:
        store.add(1 + number % 3, [NewRating(number + 1, 3, number), NewRating(999, 4, number)])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(give, range(120)))
    everything = store.everything().ratings
    assert len(everything) == 120 + 3
    newest = {r.user_id: r.timestamp for r in everything if r.movie_id == 999}
    assert newest == {1: 117, 2: 118, 3: 119}
    store.close()


def test_killed_process_loses_no_acknowledged_rating(url: str) -> None:
    acknowledged: dict[int, int] = {}
    for user in (1, 2, 3):
        with writers(url, [user], 100_000) as (process,):
            assert process.stdout is not None
            lines = [process.stdout.readline() for _ in range(random.randint(11, 60))]
            os.kill(process.pid, signal.SIGKILL)
            lines += process.stdout.readlines()
        # The kill may have cut off the last line.
        acknowledged[user] = int([line for line in lines if line.endswith("\n")][-1])
    store = FeedbackStore.open(url)
    for user, last in acknowledged.items():
        stored = [rating.movie_id for rating in store.of_user(user).ratings]
        assert stored[:last] == list(range(1, last + 1))
        assert len(stored) <= last + 1
    assert max(acknowledged.values()) > 10
    store.add(1, [NewRating(10**6, 3, 1)])
    store.close()


@pytest.mark.parametrize("number", range(2))
def test_process_killed_while_creating_tables_leaves_a_usable_database(
    url: str, number: int
) -> None:
    with writers(url, [1, 2], 1) as processes:
        time.sleep(random.uniform(0.0, 0.4))
        for process in processes:
            process.kill()
    store = FeedbackStore.open(url)
    store.add(9, [NewRating(number + 1, 3, 1)])
    assert len(store.of_user(9).ratings) == 1
    store.close()


def test_start_waits_for_a_running_migration(sqlite_url: str) -> None:
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    with ThreadPoolExecutor(1) as thread:
        with FileLock(file.with_name(file.name + ".lock")):
            opening = thread.submit(FeedbackStore.open, sqlite_url)
            with pytest.raises(TimeoutError):
                opening.result(timeout=0.5)
        opening.result(timeout=10).close()


def test_database_of_a_newer_moovier_is_refused(url: str) -> None:
    database = Database.open(url)
    with database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    database.close()
    with pytest.raises(FeedbackUnavailable, match="newer"):
        FeedbackStore.open(url)


def test_sqlite_settings_survive_a_power_cut(sqlite_url: str) -> None:
    database = Database.open(sqlite_url)
    with database.writing() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 5000
    database.close()


def test_sqlite_writer_waits_for_another_with_a_time_out(sqlite_url: str) -> None:
    store = FeedbackStore.open(sqlite_url)
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert store.of_user(1).ratings == ()
    start = time.monotonic()
    with pytest.raises(FeedbackUnavailable, match="locked"):
        store.add(1, [NewRating(1, 1, 1)])
    assert 4 < time.monotonic() - start < 10
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(store.add, 1, [NewRating(1, 1, 1)])
        with pytest.raises(TimeoutError):
            waiting.result(timeout=0.3)
        other.execute("ROLLBACK")
        assert waiting.result(timeout=6).stored == 1
    other.close()
    store.close()


def test_postgres_writer_waits_for_another_with_a_time_out(postgres_url: str) -> None:
    store = FeedbackStore.open(postgres_url)
    store.add(1, [NewRating(1, 1, 1)])
    with contextlib.closing(psycopg.connect(postgres_url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT * FROM feedback_ratings FOR UPDATE")
        start = time.monotonic()
        with pytest.raises(FeedbackUnavailable, match="timeout"):
            store.add(1, [NewRating(1, 2, 2)])
        assert time.monotonic() - start < 10
        assert store.add(2, [NewRating(1, 2, 2)]).stored == 1
        other.rollback()
    assert store.add(1, [NewRating(1, 2, 2)]).stored == 1
    store.close()


def test_lost_connections_are_replaced(postgres_url: str) -> None:
    store = FeedbackStore.open(postgres_url)
    store.add(1, [NewRating(1, 1, 1)])
    with contextlib.closing(psycopg.connect(postgres_url)) as other, other.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    store.of_user(1)
    assert store.add(1, [NewRating(2, 1, 1)]).stored == 1
    store.close()


def test_reading_sees_one_state(url: str) -> None:
    store = FeedbackStore.open(url)
    store.add(1, [NewRating(1, 1, 1)])
    database = Database.open(url)
    with database.reading() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM feedback_ratings").scalar()
        store.add(1, [NewRating(2, 1, 1)])
        after = connection.exec_driver_sql("SELECT count(*) FROM feedback_ratings").scalar()
    assert (before, after) == (1, 1)
    database.close()
    store.close()


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return the port of a server that accepts connections and never sends a byte."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_silent_server_times_out(silent_port: int) -> None:
    start = time.monotonic()
    with pytest.raises(FeedbackUnavailable):
        FeedbackStore.open(f"postgresql://ann:hush@127.0.0.1:{silent_port}/x")
    assert time.monotonic() - start < 8


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hush-hush@127.0.0.1:9/x",
        "postgres://ann:hush-hush@127.0.0.1:9/x",
        "postgresql://127.0.0.1:9/x?user=ann&password=hush-hush",
    ],
)
def test_error_does_not_contain_the_password(url: str) -> None:
    with pytest.raises(FeedbackUnavailable, match=r"127\.0\.0\.1:9") as caught:
        FeedbackStore.open(url)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hush-hush",
        "mysql://ann:hush-hush@host/x",
        "sqlite://",
        "sqlite:///:memory:",
        "x:hush@y",
    ],
)
def test_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="MOOVIER_DATABASE_URL") as caught:
        FeedbackStore.open(url)
    assert "hush" not in str(caught.value)


def test_folder_that_cannot_be_created_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FeedbackUnavailable, match="cannot be"):
        FeedbackStore.open(f"sqlite:///{tmp_path}/file/moovier.db")


def test_file_that_is_not_a_database_is_reported(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_text("no database " * 1000)
    with pytest.raises(FeedbackUnavailable, match="not a database"):
        FeedbackStore.open(f"sqlite:///{tmp_path / 'x.db'}")


def test_deleted_sqlite_file_is_noticed(sqlite_url: str) -> None:
    store = FeedbackStore.open(sqlite_url)
    store.of_user(1)
    Path(sqlite_url.removeprefix("sqlite:///")).unlink()
    with pytest.raises(FeedbackUnavailable, match="deleted"):
        store.of_user(1)
    store.close()


def test_exists_creates_nothing(sqlite_url: str, tmp_path: Path) -> None:
    assert not exists(sqlite_url)
    assert list(tmp_path.iterdir()) == []
    Database.open(sqlite_url).close()
    assert exists(sqlite_url)
    assert exists("postgresql://127.0.0.1:9/x")
