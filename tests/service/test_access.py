"""Who is let in: keys, the rate of one client, and how many at a time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from bentos import access
from bentos.access import BURST_S, RATE_PER_S, RateLimit, TokenBuckets, client_of, is_loopback
from bentos.busy import MOST_IN_FLIGHT, ConcurrencyLimit
from moovier.feedback.api_keys import KeyStore
from moovier.settings import Settings
from tests.servers import Server
from tests.service.conftest import own_settings, promote, published
from tests.service.test_api import BATCH, started

HERE, ELSEWHERE, OTHER = "127.0.0.1", "203.0.113.7", "203.0.113.8"
RATING = {"user_id": 7, "ratings": [{"movie_id": 6, "stars": 4}]}


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(access, "time", clock)
    return clock


def request(client: str | None = ELSEWHERE, path: str = "/") -> Scope:
    peer = None if client is None else (client, 5)
    return {"type": "http", "client": peer, "path": path, "method": "GET", "headers": []}


def many(limit: TokenBuckets, n: int, client: str = ELSEWHERE) -> int:
    """How many of ``n`` requests are let in."""
    return sum(limit.allow(request(client)) for _ in range(n))


def test_a_client_from_elsewhere_may_ask_so_many_at_once_and_then_at_the_rate(clock: Clock) -> None:
    limit = TokenBuckets()
    burst = int(RATE_PER_S * BURST_S)
    assert many(limit, burst + 50) == burst
    clock.now += 1.0
    assert many(limit, 200) == RATE_PER_S
    clock.now += 0.1
    assert many(limit, 200) == RATE_PER_S / 10
    # A long pause earns no more than a full bucket.
    clock.now += 3600
    assert many(limit, 1000) == burst


def test_each_client_has_a_bucket_of_its_own_and_this_machine_none(clock: Clock) -> None:
    limit = TokenBuckets()
    many(limit, 1000)
    assert many(limit, 1) == 0
    assert many(limit, 1, OTHER) == 1
    for here in (HERE, "127.8.9.1", "::1"):
        assert many(limit, 1000, here) == 1000


def test_a_rate_of_the_settings_is_everybodys(clock: Clock) -> None:
    limit = TokenBuckets(2.0)
    assert many(limit, 100, HERE) == 8
    clock.now += 1.0
    assert many(limit, 100, HERE) == 2
    # Less than one a second still lets one in.
    slow = TokenBuckets(0.1)
    assert many(slow, 10) == 1
    clock.now += 9.0
    assert many(slow, 10) == 0
    clock.now += 1.1
    assert many(slow, 10) == 1


def test_a_request_takes_one_token_however_often_it_is_looked_at(clock: Clock) -> None:
    limit = TokenBuckets(0.25)
    one = request()
    assert [limit.allow(one) for _ in range(3)] == [True] * 3
    assert many(limit, 1) == 0


def test_only_so_many_clients_are_remembered_the_last(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "_MOST_CLIENTS", 2)
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
def test_what_is_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_claim_in_a_header_is_not_where_a_client_is() -> None:
    scope = request(ELSEWHERE)
    scope["headers"] = [(b"x-forwarded-for", b"127.0.0.1"), (b"forwarded", b"for=127.0.0.1")]
    assert client_of(scope) == ELSEWHERE
    # A socket of this machine's file system has no address.
    assert client_of(request(None)) == "127.0.0.1"


async def answered(app: Any, scope: Scope) -> tuple[int, dict[str, str], str]:
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        said.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], headers, said[1]["body"].decode()


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await PlainTextResponse("in")(scope, receive, send)


def test_who_asks_too_often_is_told_when_to_come_back(clock: Clock) -> None:
    app = RateLimit(inner, TokenBuckets(0.25))
    assert asyncio.run(answered(app, request()))[0] == 200
    status, headers, body = asyncio.run(answered(app, request()))
    assert (status, int(headers["retry-after"])) == (429, 1)
    assert "too many requests" in json.loads(body)["detail"]
    # What is not a request passes.
    asyncio.run(app({"type": "lifespan"}, None, None))  # type: ignore[arg-type]


def test_beyond_so_many_at_a_time_the_next_is_told_to_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    changes: list[int] = []
    monkeypatch.setattr("bentos.busy.metrics.in_flight", changes.append)

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
            asyncio.create_task(answered(app, request(path=path)))
            for path in ["/slow"] * (MOST_IN_FLIGHT - 1) + ["/fails"]
        ]
        while waiting < MOST_IN_FLIGHT:
            await asyncio.sleep(0)
        status, headers, body = await answered(app, request(path="/quick"))
        assert status == 503
        assert int(headers["retry-after"]) > 0
        assert json.loads(body).keys() == {"detail"}
        # Whoever looks at what a full service does is let in.
        assert (await answered(app, request(path="/metrics")))[0] == 200
        go_on.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in done].count(ZeroDivisionError) == 1
        assert all(one[0] == 200 for one in done if isinstance(one, tuple))
        # Also one that failed gave its place back.
        assert (await answered(app, request(path="/quick")))[0] == 200

    asyncio.run(run())
    assert MOST_IN_FLIGHT == 256
    assert sum(changes) == 0
    assert changes.count(1) == MOST_IN_FLIGHT + 1


@pytest.fixture(scope="module")
def toy(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("access")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder))
    return settings


@pytest.fixture
def keys(toy: Settings) -> Iterator[KeyStore]:
    with contextlib.closing(KeyStore.open(toy.database)) as store:
        yield store
        for key in store.list():
            if key.revoked is None:
                store.revoke(key.name)


def from_elsewhere(client: TestClient, address: str = ELSEWHERE) -> TestClient:
    """Another client of the same service, which goes on as it is."""
    return TestClient(client.app, raise_server_exceptions=False, client=(address, 5))


def asked(client: TestClient, **headers: Any) -> dict[str, int]:
    """The statuses of everything that writes, and of one that only reads."""
    return {
        "post": client.post("/ratings", json=RATING, headers=headers).status_code,
        "get": client.get("/ratings?user_id=7", headers=headers).status_code,
        "delete": client.delete("/ratings?user_id=7", headers=headers).status_code,
        "train": client.post("/train", json=BATCH, headers=headers).status_code,
        "predict": client.post("/predict", json=[7], headers=headers).status_code,
    }


def statuses(write: int, train: int) -> dict[str, int]:
    return {"post": write, "get": write, "delete": write, "train": train, "predict": 200}


def test_on_this_machine_all_is_open_from_elsewhere_a_key_is_needed(
    toy: Settings, keys: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    writer, trainer = keys.make("web page", ["write"]), keys.make("night job", ["train"])
    both = keys.make("both", ["write", "train"])
    caplog.set_level(logging.DEBUG)
    with started(toy) as client:
        assert asked(client) == statuses(200, 200)
        stranger = from_elsewhere(client)
        assert asked(stranger) == statuses(401, 401)
        refused = stranger.post("/ratings", json=RATING)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "X-API-Key" in refused.json()["detail"]
        assert asked(stranger, **{"X-API-Key": writer}) == statuses(200, 403)
        assert asked(stranger, **{"X-API-Key": trainer}) == statuses(403, 200)
        assert (
            "write"
            in stranger.post("/ratings", json=RATING, headers={"X-API-Key": trainer}).json()[
                "detail"
            ]
        )
        for headers in (
            {"X-API-Key": both},
            {"Authorization": f"Bearer {both}"},
            {"Authorization": f"bearer {both}"},
            {"Authorization": f"Bearer {both}", "X-API-Key": ""},
        ):
            assert asked(stranger, **headers) == statuses(200, 200)
        wrong = "moo_" + "x" * 43
        bad: dict[str, Any]
        for bad in (
            {"X-API-Key": wrong},
            {"X-API-Key": both[:-1]},
            {"X-API-Key": both + "x"},
            {"X-API-Key": ""},
            {"X-API-Key": "é' OR 1=1".encode()},
            {"Authorization": both},
            {"Authorization": f"Basic {both}"},
            {"Authorization": "Bearer"},
        ):
            assert asked(stranger, **bad) == statuses(401, 401), bad
        # Who may come in is looked up each time.
        keys.revoke("both")
        assert asked(stranger, **{"X-API-Key": both}) == statuses(401, 401)
    for key in (writer, trainer, both, wrong):
        assert key not in caplog.text
        assert key not in stranger.post("/ratings", json=RATING, headers={"X-API-Key": key}).text


def test_a_service_for_others_needs_keys_of_this_machine_too(toy: Settings, keys: KeyStore) -> None:
    key = keys.make("here", ["write", "train"])
    for more in ({"MOOVIER_HOST": "0.0.0.0"}, {"MOOVIER_REQUIRE_KEYS": "true"}):
        with started(toy, **more) as client:
            assert asked(client) == statuses(401, 401)
            assert asked(client, **{"X-API-Key": key}) == statuses(200, 200)


def test_whoever_says_so_needs_no_keys_at_all(toy: Settings) -> None:
    with started(toy, MOOVIER_HOST="0.0.0.0", MOOVIER_REQUIRE_KEYS="false") as client:
        assert asked(from_elsewhere(client)) == statuses(200, 200)


def test_the_service_turns_away_who_asks_too_often(toy: Settings) -> None:
    with started(toy, MOOVIER_RATE_PER_S="0.25") as client:
        assert client.get("/models").status_code == 200
        refused = client.get("/models")
        assert refused.status_code == 429
        assert refused.json().keys() == {"detail"}
        assert int(refused.headers["retry-after"]) > 0
        assert from_elsewhere(client).get("/models").status_code == 200


def test_the_log_and_the_answers_hold_no_key_when_something_fails(
    toy: Settings,
    keys: KeyStore,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = keys.make("unlucky", ["write"])
    caplog.set_level(logging.DEBUG)
    with started(toy, MOOVIER_REQUIRE_KEYS="true") as client:
        monkeypatch.setattr(KeyStore, "scopes_of", lambda self, key: 1 / 0)
        answer = client.post("/ratings", json=RATING, headers={"X-API-Key": key})
        assert answer.status_code == 500
        assert key not in answer.text
    captured = capfd.readouterr()
    assert key not in caplog.text + captured.out + captured.err


def test_no_page_of_another_site_is_let_in(toy: Settings, tmp_path: Path) -> None:
    origin = {"Origin": "https://evil.example"}
    with started(toy) as client:
        for answer in (
            client.get("/models", headers=origin),
            client.options("/ratings", headers={**origin, "Access-Control-Request-Method": "POST"}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
        # What a browser sends without asking first is not taken for JSON.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = client.post(
                "/ratings", content=json.dumps(RATING), headers={**origin, "Content-Type": kind}
            )
            assert answer.status_code == 422, kind
        answer = client.post("/ratings", content=json.dumps(RATING), headers=origin)
        assert answer.status_code == 422
