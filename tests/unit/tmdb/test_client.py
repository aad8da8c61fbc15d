from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sqlite3
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from moovier.tmdb.cache import open_caches
from moovier.tmdb.circuit_breaker import FAILURES_TO_OPEN
from moovier.tmdb.client import ATTEMPTS, CONCURRENT, TmdbClient
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, V4_TOKEN, FakeTmdb, details
from tests.servers import free_port

Calls = Callable[[TmdbClient], Coroutine[Any, Any, Any]]


def run(
    calls: Calls,
    tmdb: FakeTmdb | str,
    folder: Path,
    *,
    key: str = V3_KEY,
    budget_s: float = 30.0,
    ttl_s: float = 60.0,
) -> Any:
    """Return the result of ``calls`` on a new client."""

    async def session() -> Any:
        caches = open_caches(folder / "tmdb.sqlite", ttl_s)
        url = tmdb if isinstance(tmdb, str) else tmdb.address
        client = TmdbClient(key, url, caches, budget_s=budget_s)
        try:
            return await calls(client)
        finally:
            await client.close()

    return asyncio.run(session())


def fetch(*ids: int) -> Calls:
    async def calls(client: TmdbClient) -> dict[int, Any]:
        return {id_: json.loads(text) for id_, text in (await client.details(ids)).items()}

    return calls


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
def test_details_have_all_fields_of_tmdb(tmdb: FakeTmdb, tmp_path: Path, key: str) -> None:
    fetched = run(fetch(197, 278), tmdb, tmp_path, key=key)
    assert fetched == {197: BRAVEHEART, 278: details(278)}


def test_details_are_cached_over_a_restart(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.missing = {5}
    first = run(fetch(197, 5), tmdb, tmp_path)
    assert first == {197: BRAVEHEART}
    # A movie that TMDB does not have is cached too.
    assert run(fetch(197, 5), tmdb, tmp_path) == first
    assert sorted(tmdb.requested) == [5, 197]


@pytest.mark.parametrize("text", [None, b"\xff", 7, "{", "[]", '{"id": 5}', '{"title": 1'])
def test_bad_row_of_the_cache_is_fetched_again(
    tmdb: FakeTmdb, tmp_path: Path, text: object
) -> None:
    run(fetch(197, 278), tmdb, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "tmdb.sqlite")) as cache, cache:
        cache.execute("UPDATE details SET text = ? WHERE id = 197", (text,))
    tmdb.requested.clear()
    for _ in range(2):
        assert run(fetch(197, 278), tmdb, tmp_path) == {197: BRAVEHEART, 278: details(278)}
    assert tmdb.requested == [197]


def test_expired_details_are_fetched_again(tmdb: FakeTmdb, tmp_path: Path) -> None:
    run(fetch(197), tmdb, tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "tmdb.sqlite")) as cache, cache:
        cache.execute("UPDATE details SET at = at - 61")
    run(fetch(197), tmdb, tmp_path, ttl_s=60)
    assert tmdb.requested == [197, 197]


def test_concurrent_requests_are_limited(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 0.2
    fetched = run(fetch(*range(1, 41)), tmdb, tmp_path, budget_s=20)
    assert len(fetched) == 40
    assert 2 <= tmdb.most_at_once <= CONCURRENT


@pytest.mark.parametrize("status", [429, 500, 503])
def test_transient_error_is_retried(tmdb: FakeTmdb, tmp_path: Path, status: int) -> None:
    tmdb.statuses = [status, status]
    assert run(fetch(197), tmdb, tmp_path) == {197: BRAVEHEART}
    assert len(tmdb.requested) == 3 <= ATTEMPTS


def test_retry_waits_for_retry_after(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.statuses, tmdb.retry_after = [429], "1"
    started = time.monotonic()
    assert run(fetch(197), tmdb, tmp_path, budget_s=10) == {197: BRAVEHEART}
    assert time.monotonic() - started >= 1


def test_long_retry_after_pauses_requests_without_waiting(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.statuses, tmdb.retry_after = [429], "30"

    async def twice(client: TmdbClient) -> list[dict[int, bytes]]:
        return [await client.details([197]), await client.details([197])]

    started = time.monotonic()
    assert run(twice, tmdb, tmp_path, budget_s=10) == [{}, {}]
    assert time.monotonic() - started < 15
    assert tmdb.requested == [197]


@pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2065 07:28:00 GMT", "soon", "-1", "nan"])
def test_invalid_retry_after_is_ignored(tmdb: FakeTmdb, tmp_path: Path, retry_after: str) -> None:
    tmdb.statuses, tmdb.retry_after = [429], retry_after
    assert run(fetch(197), tmdb, tmp_path) == {197: BRAVEHEART}


def test_slow_details_are_left_out(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 20.0
    started = time.monotonic()
    assert run(fetch(197, 278), tmdb, tmp_path, budget_s=0.3) == {}
    assert time.monotonic() - started < 10


def test_details_in_time_are_returned_without_the_late_ones(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 0.4

    async def many(client: TmdbClient) -> tuple[int, bool]:
        fetched = await client.details(range(1, 10 * CONCURRENT))
        return len(fetched), client.breaker.is_closed

    count, is_closed = run(many, tmdb, tmp_path, budget_s=2.0)
    assert 1 <= count < 10 * CONCURRENT - 1
    # TMDB works; only the list was long.
    assert is_closed


@pytest.mark.parametrize(
    "body",
    [
        b"<html>maintenance</html>",
        b"",
        b"[]",
        b"null",
        b'{"id": 198, "title": "another"}',
        b'{"id": 197}',
        b'{"id": 197, "title": "x", "overview": "' + b"y" * (1 << 20) + b'"}',
        b"\xff\xfe",
    ],
)
def test_invalid_response_is_neither_returned_nor_cached(
    tmdb: FakeTmdb, tmp_path: Path, body: bytes
) -> None:
    tmdb.body = body
    assert run(fetch(197), tmdb, tmp_path) == {}
    tmdb.body = None
    assert run(fetch(197), tmdb, tmp_path) == {197: BRAVEHEART}


@pytest.mark.parametrize("key", ["wrong", "wrong.v4.token"])
def test_wrong_key_is_logged_once_without_the_key(
    tmdb: FakeTmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    assert run(fetch(197, 278), tmdb, tmp_path, key=key) == {}
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "check TMDB_API_KEY" in warnings[0].getMessage()
    # A refusal is not retried.
    assert sorted(tmdb.requested) == [197, 278]


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
@pytest.mark.parametrize("trouble", ["none", "refused", "slow", "broken"])
def test_key_is_never_logged(
    tmdb: FakeTmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, trouble: str
) -> None:
    caplog.set_level(logging.DEBUG)
    address = tmdb.address
    if trouble == "refused":
        address = f"http://127.0.0.1:{free_port()}/3"
    tmdb.delay_s = 5.0 if trouble == "slow" else 0.0
    # Enough for a busy machine where TMDB answers.
    budget_s = 10.0 if trouble == "none" else 0.5
    tmdb.status = 500 if trouble == "broken" else None
    fetched = run(fetch(197), address, tmp_path, key=key, budget_s=budget_s)
    assert bool(fetched) == (trouble == "none")
    assert key not in caplog.text
    for record in caplog.records:
        assert key not in str(record.__dict__)


def test_failing_tmdb_is_not_called_for_a_while(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.status = 500

    async def keep_fetching(client: TmdbClient) -> float:
        for id_ in range(1, FAILURES_TO_OPEN + 1):
            await client.details([id_])
        before = len(tmdb.requested)
        started = time.monotonic()
        for id_ in range(100, 120):
            assert await client.details([id_]) == {}
        assert len(tmdb.requested) == before
        return time.monotonic() - started

    assert run(keep_fetching, tmdb, tmp_path, budget_s=10) < 5
