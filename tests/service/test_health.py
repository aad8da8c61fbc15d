"""What `/readyz` says of each trouble, and what it keeps to itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient

from bentos import health as room
from bentos.app import create_app
from bentos.busy import ConcurrencyLimit
from moovier.registry.client import Registry
from moovier.serving.bundle_loader import RejectedModel
from moovier.settings import Settings
from moovier.tmdb.circuit_breaker import FAILURES_TO_OPEN
from tests.fakes.relay import relay_before
from tests.fakes.tmdb import V3_KEY, fake_tmdb
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server, free_port
from tests.service.conftest import promote, published
from tests.service.test_api import NAME, OTHER, started
from tests.service.test_swaps import wait_for

NO_STARS = "there is no model of the stars: lists have no stars"


def told(client: TestClient, status: int = 200) -> list[str]:
    """What is degraded; the body has no more than it should."""
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert answer.json().keys() == {"ready", "champion", "degraded"}
    assert answer.json()["ready"] is (status == 200)
    degraded: list[str] = answer.json()["degraded"]
    return degraded


def test_each_trouble_is_a_sentence_while_it_answers(
    mlflow: Server, settings: Settings, tmp_path: Path
) -> None:
    champion = published(settings, tmp_path)
    promote(settings, champion)
    database = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    with relay_before(mlflow.address) as relay, fake_tmdb() as tmdb:
        lined = settings.model_copy(update={"mlflow_tracking_uri": relay.address})
        more = {"TMDB_API_KEY": V3_KEY, "MOOVIER_TMDB_URL": tmdb.address}
        with started(lined, MOOVIER_DATABASE_URL=database, **more) as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
            wait_for(lambda: len(told(client)) == 2)
            shown = client.get("/readyz").json()
            assert shown["champion"] == {"name": NAME, "version": champion.number}
            [of_stars, of_feedback] = told(client)
            assert of_stars == NO_STARS
            assert "database" in of_feedback
            state: Any = client.app.state  # type: ignore[attr-defined]
            state.details.tmdb.breaker.record_failure(FAILURES_TO_OPEN)
            assert any(one.startswith("TMDB is left alone") for one in told(client))
            relay.cut()
            wait_for(lambda: any("MLflow does not answer" in one for one in told(client)))
            text = client.get("/readyz").text
            for secret in ("s3cret", V3_KEY, "127.0.0.1", str(tmp_path), "Traceback"):
                assert secret not in text
            relay.restore()
            wait_for(lambda: not any("MLflow" in one for one in told(client)))


def test_without_any_model_it_is_not_ready_and_a_stand_in_is_said(
    settings: Settings, tmp_path: Path
) -> None:
    with started(settings) as client:
        assert "no model at all" in " ".join(told(client, 503))
        assert client.get("/readyz").json()["champion"] is None
        assert client.get("/livez").json() == {"alive": True}
        published(settings, tmp_path)
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert any("everybody gets what is popular" in one for one in told(client))
        assert client.get("/readyz").json()["champion"] is None


def test_refused_models_are_named_with_the_reason(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(settings, published(settings, tmp_path))
    broken = register(settings, tmp_path, toy_bundle(OTHER, family="ghost"))
    with started(settings) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
        registry.set_rating_model(broken)
        promote(settings, broken)
        wait_for(lambda: len(told(client)) == 2)
        [of_champion, of_stars] = told(client)
    assert of_champion.startswith(f"the champion {OTHER} (version 2) was refused: ")
    assert "unknown family 'ghost'" in of_champion
    assert of_champion.endswith(f"{NAME} (version 1) goes on answering")
    assert of_stars.startswith(f"the model of the stars {OTHER} (version 2) was refused: ")


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("[Errno 2] No such file: '/home/me/x.npz'", "[Errno 2] No such file: '…'"),
        ("see http://user:pass@host:5000/x for it", "see … for it"),
        ("first line\nTraceback (most recent call last)", "first line"),
        ("and/or 1/2 stay", "and/or 1/2 stay"),
        ("x" * 1000, "x" * 200),
    ],
)
def test_a_reason_keeps_paths_and_addresses_to_itself(reason: str, shown: str) -> None:
    found = room.told(RejectedModel(3, NAME, "3-a", reason))
    assert found == f"{NAME} (version 3) was refused: {shown}"


def test_before_the_start_it_is_not_ready() -> None:
    assert room.health(SimpleNamespace()).ready is False
    # A start that has not come so far as to make the application's state is no error either.
    answer = TestClient(create_app()).get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (503, ["the service is starting"])


def test_a_full_service_still_says_how_it_is() -> None:
    from starlette.responses import PlainTextResponse

    full = TestClient(ConcurrencyLimit(PlainTextResponse("there"), most=0))
    get: Callable[[str], Any] = full.get
    assert [get(path).status_code for path in ("/readyz", "/livez", "/models")] == [200, 200, 503]
