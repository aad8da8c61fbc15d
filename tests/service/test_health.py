"""`/readyz`: readiness, the sentences about problems, and what they must not contain."""

from __future__ import annotations

from pathlib import Path

import pytest

from bentos.app import create_app
from moovier.registry.client import Registry
from moovier.serving.bundle_loader import RejectedModel
from moovier.serving.health import describe_rejection, health_of
from moovier.settings import Settings
from moovier.tmdb.circuit_breaker import FAILURES_TO_OPEN
from tests.fakes.relay import relay_before
from tests.fakes.tmdb import V3_KEY, fake_tmdb
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server, free_port
from tests.service.conftest import promote, published, wait_for
from tests.service.in_process import MODEL, OTHER_MODEL, InProcessClient, started

NO_STARS = "there is no rating model: lists have no stars"


def problems_of(client: InProcessClient, status: int = 200) -> list[str]:
    """Return the problems, and check that the body has no other fields than declared."""
    answer = client.get("/readyz")
    assert answer.status_code == status
    assert answer.json().keys() == {"ready", "champion", "degraded"}
    assert answer.json()["ready"] is (status == 200)
    degraded: list[str] = answer.json()["degraded"]
    return degraded


def test_each_problem_is_a_sentence_while_the_service_is_ready(
    mlflow: Server, settings: Settings, tmp_path: Path
) -> None:
    champion = published(settings, tmp_path)
    promote(settings, champion)
    database = f"postgresql://moovier:s3cret@127.0.0.1:{free_port()}/moovier"
    with relay_before(mlflow.address) as relay, fake_tmdb() as tmdb:
        relayed = settings.model_copy(update={"mlflow_tracking_uri": relay.address})
        more = {"TMDB_API_KEY": V3_KEY, "MOOVIER_TMDB_URL": tmdb.address}
        with started(relayed, MOOVIER_DATABASE_URL=database, **more) as client:
            wait_for(lambda: client.get("/readyz").status_code == 200)
            wait_for(lambda: len(problems_of(client)) == 2)
            shown = client.get("/readyz").json()
            assert shown["champion"] == {"name": MODEL, "version": champion.number}
            [rating_model, feedback] = problems_of(client)
            assert rating_model == NO_STARS
            assert "database" in feedback
            tmdb_client = client.context.details.tmdb
            assert tmdb_client is not None
            tmdb_client.breaker.record_failure(FAILURES_TO_OPEN)
            assert any(
                problem.startswith("TMDB requests are paused") for problem in problems_of(client)
            )
            relay.cut()
            wait_for(
                lambda: any("MLflow does not answer" in problem for problem in problems_of(client))
            )
            text = client.get("/readyz").text
            for secret in ("s3cret", V3_KEY, "127.0.0.1", str(tmp_path), "Traceback"):
                assert secret not in text
            relay.restore()
            wait_for(lambda: not any("MLflow" in problem for problem in problems_of(client)))


def test_without_a_model_the_service_is_not_ready_and_a_stand_in_is_named(
    settings: Settings, tmp_path: Path
) -> None:
    with started(settings) as client:
        assert "no other model" in " ".join(problems_of(client, 503))
        assert client.get("/readyz").json()["champion"] is None
        assert client.get("/livez").json() == {"alive": True}
        published(settings, tmp_path)
        wait_for(lambda: client.get("/readyz").status_code == 200)
        assert any("every user gets popular movies" in problem for problem in problems_of(client))
        assert client.get("/readyz").json()["champion"] is None


def test_rejected_models_are_named_with_the_reason(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(settings, published(settings, tmp_path))
    broken = register(settings, tmp_path, toy_bundle(OTHER_MODEL, family="ghost"))
    with started(settings) as client:
        wait_for(lambda: client.get("/readyz").status_code == 200)
        registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
        registry.set_rating_model(broken)
        promote(settings, broken)
        wait_for(lambda: len(problems_of(client)) == 2)
        [champion_problem, rating_model] = problems_of(client)
    assert champion_problem.startswith(f"the champion {OTHER_MODEL} (version 2) was rejected: ")
    assert "unknown family 'ghost'" in champion_problem
    assert champion_problem.endswith(f"{MODEL} (version 1) keeps answering")
    assert rating_model.startswith(f"the rating model {OTHER_MODEL} (version 2) was rejected: ")


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
def test_reasons_contain_no_paths_and_addresses(reason: str, shown: str) -> None:
    description = describe_rejection(RejectedModel(3, MODEL, "3-a", reason))
    assert description == f"{MODEL} (version 3) was rejected: {shown}"


def test_service_is_not_ready_before_its_start() -> None:
    assert health_of(None).ready is False
    answer = InProcessClient(create_app()).get("/readyz")
    assert (answer.status_code, answer.json()["degraded"]) == (503, ["the service is starting"])
