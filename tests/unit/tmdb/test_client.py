from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from moovier.tmdb.cache import Cache
from moovier.tmdb.client import ATTEMPTS, CONCURRENT, FAILURES_TO_OPEN, Breaker, TmdbClient
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, V4_TOKEN, FakeTmdb, details
from tests.servers import free_port

Calls = Callable[[TmdbClient], Coroutine[Any, Any, Any]]


def run(
    calls: Calls,
    tmdb: FakeTmdb | str,
    folder: Path,
    *,
    key: str = V3_KEY,
    budget_s: float = 2.0,
    ttl_s: float = 60.0,
) -> Any:
    """What ``calls`` gives on a client of its own."""

    async def session() -> Any:
        cache = Cache(folder / "tmdb.sqlite", ttl_s)
        url = tmdb if isinstance(tmdb, str) else tmdb.address
        client = TmdbClient(key, url, cache, budget_s=budget_s)
        try:
            return await calls(client)
        finally:
            await client.close()

    return asyncio.run(session())


def asking(*ids: int) -> Calls:
    async def ask(client: TmdbClient) -> dict[int, Any]:
        return {id_: json.loads(text) for id_, text in (await client.details(ids)).items()}

    return ask


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
def test_details_come_field_for_field(tmdb: FakeTmdb, tmp_path: Path, key: str) -> None:
    found = run(asking(197, 278), tmdb, tmp_path, key=key)
    assert found == {197: BRAVEHEART, 278: details(278)}


def test_a_restart_asks_nothing_again(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.missing = {5}
    first = run(asking(197, 5), tmdb, tmp_path)
    assert first == {197: BRAVEHEART}
    # That TMDB does not have a movie is remembered, too.
    assert run(asking(197, 5), tmdb, tmp_path) == first
    assert sorted(tmdb.asked) == [5, 197]


def test_old_details_are_asked_for_again(tmdb: FakeTmdb, tmp_path: Path) -> None:
    run(asking(197), tmdb, tmp_path)
    time.sleep(0.2)
    run(asking(197), tmdb, tmp_path, ttl_s=0.1)
    assert tmdb.asked == [197, 197]


def test_movies_are_fetched_side_by_side_but_not_too_many(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 0.2
    started = time.monotonic()
    found = run(asking(*range(1, 41)), tmdb, tmp_path, budget_s=20)
    assert len(found) == 40
    assert 2 <= tmdb.most_at_once <= CONCURRENT
    assert time.monotonic() - started < 40 * 0.2 / 2


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_trouble_is_tried_again(tmdb: FakeTmdb, tmp_path: Path, status: int) -> None:
    tmdb.statuses = [status, status]
    assert run(asking(197), tmdb, tmp_path) == {197: BRAVEHEART}
    assert len(tmdb.asked) == 3 <= ATTEMPTS


def test_retry_after_is_waited_for(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.statuses, tmdb.retry_after = [429], "1"
    started = time.monotonic()
    assert run(asking(197), tmdb, tmp_path, budget_s=10) == {197: BRAVEHEART}
    assert time.monotonic() - started >= 1


def test_a_long_retry_after_is_honoured_without_waiting(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.statuses, tmdb.retry_after = [429], "30"

    async def twice(client: TmdbClient) -> list[dict[int, bytes]]:
        return [await client.details([197]), await client.details([197])]

    started = time.monotonic()
    assert run(twice, tmdb, tmp_path, budget_s=10) == [{}, {}]
    assert time.monotonic() - started < 5
    assert tmdb.asked == [197]


@pytest.mark.parametrize("retry_after", ["Wed, 21 Oct 2065 07:28:00 GMT", "soon", "-1", "nan"])
def test_a_strange_retry_after_is_passed_over(
    tmdb: FakeTmdb, tmp_path: Path, retry_after: str
) -> None:
    tmdb.statuses, tmdb.retry_after = [429], retry_after
    assert run(asking(197), tmdb, tmp_path) == {197: BRAVEHEART}


def test_slow_details_are_not_waited_for(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 5.0
    started = time.monotonic()
    assert run(asking(197, 278), tmdb, tmp_path, budget_s=0.3) == {}
    assert time.monotonic() - started < 2


def test_what_came_in_time_is_kept_when_the_rest_is_late(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.delay_s = 0.4

    async def many(client: TmdbClient) -> tuple[int, bool]:
        found = await client.details(range(1, 10 * CONCURRENT))
        return len(found), client.breaker.lets_through()

    found, closed = run(many, tmdb, tmp_path, budget_s=1.0)
    assert 1 <= found < 10 * CONCURRENT - 1
    # TMDB is well; the list was long.
    assert closed


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
def test_nonsense_is_neither_passed_on_nor_kept(
    tmdb: FakeTmdb, tmp_path: Path, body: bytes
) -> None:
    tmdb.body = body
    assert run(asking(197), tmdb, tmp_path) == {}
    tmdb.body = None
    assert run(asking(197), tmdb, tmp_path) == {197: BRAVEHEART}


@pytest.mark.parametrize("key", ["wrong", "wrong.v4.token"])
def test_a_wrong_key_is_said_once_and_never_shown(
    tmdb: FakeTmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    caplog.set_level(logging.DEBUG)
    assert run(asking(197, 278), tmdb, tmp_path, key=key) == {}
    said = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "is the key right?" in said[0].getMessage()
    # Refused for good: not tried again.
    assert sorted(tmdb.asked) == [197, 278]


@pytest.mark.parametrize("key", [V3_KEY, V4_TOKEN])
@pytest.mark.parametrize("trouble", ["none", "refused", "slow", "broken"])
def test_the_key_is_never_logged(
    tmdb: FakeTmdb, tmp_path: Path, caplog: pytest.LogCaptureFixture, key: str, trouble: str
) -> None:
    caplog.set_level(logging.DEBUG)
    address = tmdb.address
    if trouble == "refused":
        address = f"http://127.0.0.1:{free_port()}/3"
    tmdb.delay_s = 1.0 if trouble == "slow" else 0.0
    tmdb.status = 500 if trouble == "broken" else None
    found = run(asking(197), address, tmp_path, key=key, budget_s=0.5)
    assert bool(found) == (trouble == "none")
    assert key not in caplog.text
    for record in caplog.records:
        assert key not in str(record.__dict__)


def test_a_dead_tmdb_is_left_alone(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.status = 500

    async def keep_asking(client: TmdbClient) -> float:
        for id_ in range(1, FAILURES_TO_OPEN + 1):
            await client.details([id_])
        before = len(tmdb.asked)
        started = time.monotonic()
        for id_ in range(100, 120):
            assert await client.details([id_]) == {}
        assert len(tmdb.asked) == before
        return time.monotonic() - started

    assert run(keep_asking, tmdb, tmp_path, budget_s=10) < 1


def test_after_the_pause_one_caller_tries() -> None:
    breaker = Breaker(failures=2, open_s=0.2)
    breaker.failed()
    assert breaker.lets_through()
    breaker.failed()
    assert not breaker.lets_through()
    time.sleep(0.25)
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.lets_through()


def test_a_good_answer_between_keeps_it_closed() -> None:
    breaker = Breaker(failures=2, open_s=60)
    for _ in range(5):
        breaker.failed()
        breaker.succeeded()
    assert breaker.lets_through()
