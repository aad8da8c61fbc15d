"""API keys, and the rate limit of the whole service."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moovier.feedback.api_keys import KeyStore
from moovier.settings import Settings
from tests.servers import Server
from tests.service.conftest import own_settings, promote, published
from tests.service.in_process import BATCH, InProcessClient, started

REMOTE = "203.0.113.7"
RATING = {"user_id": 7, "ratings": [{"movie_id": 6, "stars": 4}]}
EVENT = {"user_id": 7, "events": [{"movie_id": 6, "event": "shown"}]}


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


def remote(client: InProcessClient, address: str = REMOTE) -> InProcessClient:
    """Return a client of the same service at another address."""
    return InProcessClient(client.api, client.app, address)


def statuses_of(client: InProcessClient, **headers: Any) -> dict[str, int]:
    """Return the statuses of the requests that write, and of one that only reads."""
    return {
        "post": client.post("/ratings", json=RATING, headers=headers).status_code,
        "get": client.get("/ratings?user_id=7", headers=headers).status_code,
        "delete": client.delete("/ratings?user_id=7", headers=headers).status_code,
        "post event": client.post("/events", json=EVENT, headers=headers).status_code,
        "get events": client.get("/events?user_id=7", headers=headers).status_code,
        "delete events": client.delete("/events?user_id=7", headers=headers).status_code,
        "train": client.post("/train", json=BATCH, headers=headers).status_code,
        "predict": client.post("/predict", json=[7], headers=headers).status_code,
    }


def expected(write: int, train: int) -> dict[str, int]:
    writes = ("post", "get", "delete", "post event", "get events", "delete events")
    return {**dict.fromkeys(writes, write), "train": train, "predict": 200}


def test_loopback_needs_no_key_and_remote_clients_do(
    toy: Settings, keys: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    writer, trainer = keys.make("web page", ["write"]), keys.make("night job", ["train"])
    both = keys.make("both", ["write", "train"])
    caplog.set_level(logging.DEBUG)
    with started(toy) as client:
        assert statuses_of(client) == expected(200, 200)
        other = remote(client)
        assert statuses_of(other) == expected(401, 401)
        refused = other.post("/ratings", json=RATING)
        assert refused.headers["www-authenticate"] == "Bearer"
        assert "X-API-Key" in refused.json()["detail"]
        assert statuses_of(other, **{"X-API-Key": writer}) == expected(200, 403)
        assert statuses_of(other, **{"X-API-Key": trainer}) == expected(403, 200)
        assert (
            "write"
            in other.post("/ratings", json=RATING, headers={"X-API-Key": trainer}).json()["detail"]
        )
        for headers in (
            {"X-API-Key": both},
            {"Authorization": f"Bearer {both}"},
            {"Authorization": f"bearer {both}"},
            {"Authorization": f"Bearer {both}", "X-API-Key": ""},
        ):
            assert statuses_of(other, **headers) == expected(200, 200)
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
            assert statuses_of(other, **bad) == expected(401, 401), bad
        # A revoked key is refused at once.
        keys.revoke("both")
        assert statuses_of(other, **{"X-API-Key": both}) == expected(401, 401)
    for key in (writer, trainer, both, wrong):
        assert key not in caplog.text
        assert key not in other.post("/ratings", json=RATING, headers={"X-API-Key": key}).text


def test_public_service_needs_keys_from_loopback_too(toy: Settings, keys: KeyStore) -> None:
    key = keys.make("here", ["write", "train"])
    for variables in ({"MOOVIER_HOST": "0.0.0.0"}, {"MOOVIER_REQUIRE_KEYS": "true"}):
        with started(toy, **variables) as client:
            assert statuses_of(client) == expected(401, 401)
            assert statuses_of(client, **{"X-API-Key": key}) == expected(200, 200)


def test_keys_can_be_switched_off(toy: Settings) -> None:
    with started(toy, MOOVIER_HOST="0.0.0.0", MOOVIER_REQUIRE_KEYS="false") as client:
        assert statuses_of(remote(client)) == expected(200, 200)


def test_service_limits_the_rate_of_each_client(toy: Settings) -> None:
    with started(toy, MOOVIER_RATE_PER_S="0.25") as client:
        assert client.get("/models").status_code == 200
        refused = client.get("/models")
        assert refused.status_code == 429
        assert refused.json().keys() == {"detail"}
        assert int(refused.headers["retry-after"]) > 0
        assert remote(client).get("/models").status_code == 200


def test_errors_and_log_contain_no_key(
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


def test_pages_of_other_sites_cannot_use_the_api(toy: Settings, tmp_path: Path) -> None:
    origin = {"Origin": "https://evil.example"}
    with started(toy) as client:
        for answer in (
            client.get("/models", headers=origin),
            client.options("/ratings", headers={**origin, "Access-Control-Request-Method": "POST"}),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control")]
        # Browsers send these types without a preflight request; they are not read as JSON.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = client.post(
                "/ratings", content=json.dumps(RATING), headers={**origin, "Content-Type": kind}
            )
            assert answer.status_code == 422, kind
        answer = client.post("/ratings", content=json.dumps(RATING), headers=origin)
        assert answer.status_code == 422
