"""What one process writes, another one knows soon, without being asked."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2  # type: ignore[import-untyped]
import pytest

from moovier.feedback import change_notification
from moovier.feedback.api_keys import KeyStore
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.database import Database
from moovier.feedback.store import FeedbackStore
from tests.unit.feedback.test_cache import give, movies

PATIENCE_S = 60.0


@pytest.fixture
def two(url: str) -> Iterator[tuple[FeedbackCache, FeedbackCache]]:
    """Two mirrors of one database, as two processes have them, both following."""
    with following(url) as one, following(url) as other:
        yield one, other


@contextlib.contextmanager
def following(url: str) -> Iterator[FeedbackCache]:
    with contextlib.closing(FeedbackCache(url)) as feedback_cache:
        feedback_cache.reload()
        before = feedback_cache.revision(0)
        feedback_cache.follow()
        # It reads all there is once when it begins to follow.
        wait_for(lambda: feedback_cache.revision(0) != before)
        yield feedback_cache


def wait_for(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < until, "it was never noticed"
        time.sleep(0.02)


def test_each_hears_of_what_the_other_stored_and_deleted(
    two: tuple[FeedbackCache, FeedbackCache],
) -> None:
    one, other = two
    give(one, 7, 1)
    give(other, 8, 2)
    wait_for(lambda: movies(other.for_user(7)) == [1] and movies(one.for_user(8)) == [2])
    revision = other.revision(7)
    give(one, 7, 3, timestamp=20)
    wait_for(lambda: movies(other.for_user(7)) == [1, 3])
    assert other.revision(7) != revision
    other.delete(7)
    wait_for(lambda: movies(one.for_user(7)) == [])
    said = one.for_user(7)
    assert said is not None
    assert said.all_deleted_at is not None


def test_many_writers_on_both_sides_end_with_the_same(
    two: tuple[FeedbackCache, FeedbackCache],
) -> None:
    with ThreadPoolExecutor(8) as threads:
        turns = [(two[n % 2], n % 5 + 1, n + 1) for n in range(60)]
        list(threads.map(lambda turn: give(*turn), turns))
    expected = {user: {n + 1 for n in range(60) if n % 5 + 1 == user} for user in range(1, 6)}
    for feedback_cache in two:
        wait_for(lambda: {u: set(movies(feedback_cache.for_user(u))) for u in expected} == expected)  # noqa: B023


def test_ones_own_writes_are_not_read_again(
    two: tuple[FeedbackCache, FeedbackCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    read: list[str] = []
    for name in ("reread", "_reload"):
        noted = getattr(one, name)

        def noting(*arguments: Any, _name: str = name, _noted: Any = noted) -> None:
            read.append(_name)
            _noted(*arguments)

        monkeypatch.setattr(one, name, noting)
    monkeypatch.setattr(one._follower, "_reread", one.reread)
    for movie in range(1, 6):
        give(one, 7, movie)
    wait_for(lambda: movies(other.for_user(7)) == [1, 2, 3, 4, 5])
    # The other's write comes after all of one's own: what would have been read was read by then.
    give(other, 8, 1)
    wait_for(lambda: movies(one.for_user(8)) == [1])
    assert len(read) == 1


def test_what_failed_is_no_change(url: str) -> None:
    with contextlib.closing(Database.open(url)) as database:
        store = FeedbackStore(database)
        with following(url) as feedback_cache:
            epoch = feedback_cache.revision(9)
            with pytest.raises(ZeroDivisionError), database.writing(9):
                raise ZeroDivisionError
            # Keys are nobody's feedback.
            KeyStore(database).make("mine", ["write"])
            store.delete(8)
            wait_for(lambda: feedback_cache.for_user(8) is not None)
            if database.is_postgres:
                assert feedback_cache.revision(9) == epoch


def test_missed_writes_are_read_when_postgres_is_back(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    noticed, go_on = threading.Event(), threading.Event()
    listening = Database.listening

    @contextlib.contextmanager
    def patiently(database: Database, channel: str) -> Iterator[Any]:
        if noticed.is_set():
            go_on.wait(PATIENCE_S)
        with listening(database, channel) as driver:
            yield driver

    with following(postgres_url) as feedback_cache, following(postgres_url) as writer:
        # From here on the first one to come back waits until something was missed.
        monkeypatch.setattr(Database, "listening", patiently)
        noticed.set()
        cut(postgres_url)
        wait_for(lambda: gave(writer, 7, 1))
        assert feedback_cache.for_user(7) is None
        go_on.set()
        wait_for(lambda: movies(feedback_cache.for_user(7)) == [1])
        # And it listens again.
        give(writer, 7, 2, timestamp=20)
        wait_for(lambda: movies(feedback_cache.for_user(7)) == [1, 2])
        assert feedback_cache.trouble is None


def cut(url: str) -> None:
    """Every connection to the database."""
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount >= 2


def gave(feedback_cache: FeedbackCache, user: int, movie: int) -> bool:
    with contextlib.suppress(Exception):
        give(feedback_cache, user, movie)
        return True
    return False


def test_a_stop_waits_for_nothing(url: str) -> None:
    with following(url) as feedback_cache:
        started = time.monotonic()
        feedback_cache.close()
        assert feedback_cache._follower is not None
        assert not feedback_cache._follower._thread.is_alive()
    assert time.monotonic() - started < 10 * change_notification.LOOK_S


def test_a_revoked_key_is_refused_by_every_process_at_once(url: str) -> None:
    """Keys are asked for in the database each time: nothing has to travel."""
    with (
        contextlib.closing(KeyStore.open(url)) as here,
        contextlib.closing(KeyStore.open(url)) as there,
    ):
        key = here.make("one", ["write"])
        assert there.scopes_of(key) == frozenset({"write"})
        here.revoke("one")
        assert there.scopes_of(key) is None
        assert here.scopes_of(key) is None


def test_own_and_others_numbers_are_told_apart_whatever_their_order(sqlite_url: str) -> None:
    with (
        contextlib.closing(Database.open(sqlite_url)) as here,
        contextlib.closing(Database.open(sqlite_url)) as there,
    ):

        def heard() -> bool:
            with here.reading() as connection:
                return here.journal.others_wrote(connection)

        def write(database: Database) -> None:
            with database.writing(1):
                pass

        assert heard(), "nobody has looked yet"
        assert not heard()
        write(here)
        assert not heard()
        write(there)
        write(here)
        assert heard(), "another's write before one's own"
        assert not heard()
        write(here)
        write(there)
        assert heard(), "another's write after one's own"
        assert not heard()
        # A write that fails leaves its number to whoever comes next.
        with pytest.raises(ZeroDivisionError), here.writing(1):
            raise ZeroDivisionError
        write(there)
        assert heard()
