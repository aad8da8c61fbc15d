"""The writes of one process reach the caches of the others."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from moovier.feedback import change_notification
from moovier.feedback.api_keys import KeyStore
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.database import Database
from moovier.feedback.store import FeedbackStore
from tests.unit.feedback.test_cache import give, movies

PATIENCE_S = 120.0


@pytest.fixture
def two(url: str) -> Iterator[tuple[FeedbackCache, FeedbackCache]]:
    """Return two caches of one database that follow each other, like those of two processes."""
    with following(url) as first, following(url) as other:
        yield first, other


@contextlib.contextmanager
def following(url: str) -> Iterator[FeedbackCache]:
    with contextlib.closing(FeedbackCache(url)) as feedback_cache:
        feedback_cache.reload()
        before = feedback_cache.revision(0)
        feedback_cache.follow()
        # It reloads once when it begins to follow.
        wait_for(lambda: feedback_cache.revision(0) != before)
        yield feedback_cache


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "the condition never came true"
        time.sleep(0.02)


def test_ratings_and_deletions_reach_the_other_process(
    two: tuple[FeedbackCache, FeedbackCache],
) -> None:
    first, other = two
    give(first, 7, 1)
    give(other, 8, 2)
    wait_for(lambda: movies(other.for_user(7)) == [1] and movies(first.for_user(8)) == [2])
    revision = other.revision(7)
    give(first, 7, 3, timestamp=20)
    wait_for(lambda: movies(other.for_user(7)) == [1, 3])
    assert other.revision(7) != revision
    other.delete(7)
    wait_for(lambda: movies(first.for_user(7)) == [])
    feedback = first.for_user(7)
    assert feedback is not None
    assert feedback.all_deleted_at is not None


def test_caches_agree_after_concurrent_writes(
    two: tuple[FeedbackCache, FeedbackCache],
) -> None:
    with ThreadPoolExecutor(8) as threads:
        turns = [(two[n % 2], n % 5 + 1, n + 1) for n in range(60)]
        list(threads.map(lambda turn: give(*turn), turns))
    expected = {user: {n + 1 for n in range(60) if n % 5 + 1 == user} for user in range(1, 6)}
    for feedback_cache in two:
        wait_for(lambda: {u: set(movies(feedback_cache.for_user(u))) for u in expected} == expected)  # noqa: B023


def test_own_writes_are_not_reloaded(
    two: tuple[FeedbackCache, FeedbackCache], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = two
    reads: list[str] = []
    for name in ("reload_user", "_reload"):
        method = getattr(first, name)

        def recording(*arguments: Any, _name: str = name, _method: Any = method) -> None:
            reads.append(_name)
            _method(*arguments)

        monkeypatch.setattr(first, name, recording)
    monkeypatch.setattr(first._listener, "_reload_user", first.reload_user)
    for movie in range(1, 6):
        give(first, 7, movie)
    wait_for(lambda: movies(other.for_user(7)) == [1, 2, 3, 4, 5])
    # The other's write comes last: the cache would have reloaded its own writes by then.
    give(other, 8, 1)
    wait_for(lambda: movies(first.for_user(8)) == [1])
    assert len(reads) == 1


def test_failed_write_is_not_announced(url: str) -> None:
    with contextlib.closing(Database.open(url)) as database:
        store = FeedbackStore(database)
        with following(url) as feedback_cache:
            epoch = feedback_cache.revision(9)
            with pytest.raises(ZeroDivisionError), database.writing(9):
                raise ZeroDivisionError
            # An API key is not feedback.
            KeyStore(database).make("mine", ["write"])
            store.delete(8)
            wait_for(lambda: feedback_cache.for_user(8) is not None)
            if database.is_postgres:
                assert feedback_cache.revision(9) == epoch


def test_missed_writes_are_read_after_reconnecting(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_cut, may_reconnect = threading.Event(), threading.Event()
    listening = Database.listening

    @contextlib.contextmanager
    def wait_and_listen(database: Database, channel: str) -> Iterator[Any]:
        if is_cut.is_set():
            may_reconnect.wait(PATIENCE_S)
        with listening(database, channel) as driver:
            yield driver

    with following(postgres_url) as feedback_cache, following(postgres_url) as writer:
        # From here on listeners reconnect only after a write that they miss.
        monkeypatch.setattr(Database, "listening", wait_and_listen)
        is_cut.set()
        cut_connections(postgres_url)
        wait_for(lambda: try_to_give(writer, 7, 1))
        assert feedback_cache.for_user(7) is None
        may_reconnect.set()
        wait_for(lambda: movies(feedback_cache.for_user(7)) == [1])
        # It listens again.
        give(writer, 7, 2, timestamp=20)
        wait_for(lambda: movies(feedback_cache.for_user(7)) == [1, 2])
        assert feedback_cache.trouble is None


def cut_connections(url: str) -> None:
    """Cut every connection to the database."""
    with contextlib.closing(psycopg.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.rowcount >= 2


def try_to_give(feedback_cache: FeedbackCache, user: int, movie: int) -> bool:
    with contextlib.suppress(Exception):
        give(feedback_cache, user, movie)
        return True
    return False


def test_closing_is_quick(url: str) -> None:
    with following(url) as feedback_cache:
        started = time.monotonic()
        feedback_cache.close()
        assert feedback_cache._listener is not None
        assert not feedback_cache._listener._thread.is_alive()
    assert time.monotonic() - started < 10 * change_notification.POLL_S


def test_revoked_key_is_refused_by_every_process_at_once(url: str) -> None:
    """Keys are not cached, so no notification is needed."""
    with (
        contextlib.closing(KeyStore.open(url)) as own,
        contextlib.closing(KeyStore.open(url)) as other,
    ):
        key = own.make("page", ["write"])
        assert other.scopes_of(key) == frozenset({"write"})
        own.revoke("page")
        assert other.scopes_of(key) is None
        assert own.scopes_of(key) is None
