"""The middleware, each by itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos import logs, metrics
from bentos.app_state import AppState
from bentos.client_address import client_of, is_loopback
from bentos.middleware import rate_limit
from bentos.middleware.concurrency_limit import MAX_IN_FLIGHT, ConcurrencyLimit
from bentos.middleware.rate_limit import BURST_S, RATE_PER_S, RateLimit, TokenBuckets
from bentos.middleware.request_id import RequestId
from bentos.middleware.stack import front
from bentos.middleware.time_out import TimeOut

LOOPBACK, REMOTE, OTHER_REMOTE = "127.0.0.1", "203.0.113.7", "203.0.113.8"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


def request(client: str | None = REMOTE, path: str = "/") -> Scope:
    peer = None if client is None else (client, 5)
    return {"type": "http", "client": peer, "path": path, "method": "GET", "headers": []}


def count_allowed(limit: TokenBuckets, n: int, client: str = REMOTE) -> int:
    """Return how many of ``n`` requests are allowed."""
    return sum(limit.allow(request(client)) for _ in range(n))


def test_remote_client_gets_a_burst_and_then_the_rate(clock: Clock) -> None:
    limit = TokenBuckets()
    burst = int(RATE_PER_S * BURST_S)
    assert count_allowed(limit, burst + 50) == burst
    clock.now += 1.0
    assert count_allowed(limit, 200) == RATE_PER_S
    clock.now += 0.1
    assert count_allowed(limit, 200) == RATE_PER_S / 10
    # A long pause fills the bucket, and no more.
    clock.now += 3600
    assert count_allowed(limit, 1000) == burst


def test_each_remote_client_has_its_own_bucket_and_loopback_has_none(clock: Clock) -> None:
    limit = TokenBuckets()
    count_allowed(limit, 1000)
    assert count_allowed(limit, 1) == 0
    assert count_allowed(limit, 1, OTHER_REMOTE) == 1
    for address in (LOOPBACK, "127.8.9.1", "::1"):
        assert count_allowed(limit, 1000, address) == 1000


def test_rate_of_the_settings_applies_to_every_client(clock: Clock) -> None:
    limit = TokenBuckets(2.0)
    assert count_allowed(limit, 100, LOOPBACK) == 8
    clock.now += 1.0
    assert count_allowed(limit, 100, LOOPBACK) == 2
    # A rate below one per second still allows one request.
    slow = TokenBuckets(0.1)
    assert count_allowed(slow, 10) == 1
    clock.now += 9.0
    assert count_allowed(slow, 10) == 0
    clock.now += 1.1
    assert count_allowed(slow, 10) == 1


def test_only_the_most_recent_clients_are_remembered(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limit, "MAX_CLIENTS", 2)
    limit = TokenBuckets(0.25)
    for client in ("a", "b", "a", "c"):
        limit.allow(request(client))
    assert set(limit._buckets) == {"a", "c"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
    ],
)
def test_loopback_addresses_are_recognised(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_forwarded_headers_do_not_change_the_client_address() -> None:
    scope = request(REMOTE)
    scope["headers"] = [(b"x-forwarded-for", b"127.0.0.1"), (b"forwarded", b"for=127.0.0.1")]
    assert client_of(scope) == REMOTE
    # A Unix socket has no address.
    assert client_of(request(None)) == "127.0.0.1"


async def response_of(app: Any, scope: Scope) -> tuple[int, dict[str, str], str]:
    messages: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return messages[0]["status"], headers, messages[1]["body"].decode()


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("in")(scope, receive, send)


def test_rate_limit_answers_429_with_retry_after(clock: Clock) -> None:
    app = RateLimit(inner, TokenBuckets(0.25))
    assert asyncio.run(response_of(app, request()))[0] == 200
    status, headers, body = asyncio.run(response_of(app, request()))
    assert (status, int(headers["retry-after"])) == (429, 1)
    assert "too many requests" in json.loads(body)["detail"]
    # Other messages pass.
    asyncio.run(app({"type": "lifespan"}, None, None))  # type: ignore[arg-type]


def test_concurrency_limit_answers_503_and_counts_requests_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes: list[int] = []
    monkeypatch.setattr("bentos.metrics.change_in_flight", changes.append)

    async def run() -> None:
        go_on, waiting = asyncio.Event(), 0

        async def slow(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal waiting
            waiting += 1
            if scope["path"] == "/fails":
                await go_on.wait()
                raise ZeroDivisionError
            if scope["path"] == "/slow":
                await go_on.wait()
            await inner(scope, receive, send)

        app = ConcurrencyLimit(slow)
        tasks = [
            asyncio.create_task(response_of(app, request(path=path)))
            for path in ["/slow"] * (MAX_IN_FLIGHT - 1) + ["/fails"]
        ]
        while waiting < MAX_IN_FLIGHT:
            await asyncio.sleep(0)
        status, headers, body = await response_of(app, request(path="/quick"))
        assert status == 503
        assert int(headers["retry-after"]) > 0
        assert json.loads(body).keys() == {"detail"}
        # Metrics are exempt.
        assert (await response_of(app, request(path="/metrics")))[0] == 200
        go_on.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in done].count(ZeroDivisionError) == 1
        assert all(result[0] == 200 for result in done if isinstance(result, tuple))
        # A failed request frees its place as well.
        assert (await response_of(app, request(path="/quick")))[0] == 200

    asyncio.run(run())
    assert MAX_IN_FLIGHT == 256
    assert sum(changes) == 0
    assert changes.count(1) == MAX_IN_FLIGHT + 1


def test_probes_are_exempt_from_the_concurrency_limit() -> None:
    full = ConcurrencyLimit(inner, max_in_flight=0)
    statuses = [
        asyncio.run(response_of(full, request(path=path)))[0]
        for path in ("/readyz", "/livez", "/models")
    ]
    assert statuses == [200, 200, 503]


def test_request_id_is_bound_to_the_log_and_sent_as_a_header() -> None:
    bound: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        bound.append(logs.request_id.get())
        await inner(scope, receive, send)

    for _ in range(2):
        _, headers, _ = asyncio.run(response_of(RequestId(app), request()))
        assert headers["x-request-id"] == bound[-1]
    assert len(set(bound)) == 2
    assert logs.request_id.get() == ""


def test_refused_requests_have_an_id_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[tuple[str, str, int]] = []
    monkeypatch.setattr(
        metrics, "observe_request", lambda *arguments: counted.append(arguments[:3])
    )
    state = AppState(rate_limit=TokenBuckets(0.25))
    app = front(inner, inner, state, traced=False)
    answers = [asyncio.run(response_of(app, request())) for _ in range(2)]
    assert [status for status, _, _ in answers] == [200, 429]
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == 2
    assert counted == [("any", "none", 200), ("any", "none", 429)]


def times_out(app: ASGIApp) -> tuple[list[Message], int]:
    """Return what the application sends, and how many timers it leaves behind."""

    async def run() -> tuple[list[Message], int]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await app(request(), receive, send)
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return sent, sum(not timer.cancelled() for timer in timers)

    return asyncio.run(run())


def test_answer_in_time_leaves_no_timer() -> None:
    sent, timers = times_out(TimeOut(PlainTextResponse("well"), 60.0))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert timers == 0


def test_late_answer_becomes_504() -> None:
    async def asleep(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    sent, timers = times_out(TimeOut(asleep, 0.05))
    assert sent[0]["status"] == 504
    assert b"0.05 s" in sent[1]["body"]
    assert timers == 0


def test_time_out_after_the_first_bytes_is_raised() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        times_out(TimeOut(half, 0.05))
