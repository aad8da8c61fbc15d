"""Start the stack with stand-ins for supervisord, Airflow and the service."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from moovier.registry.version import Version
from moovier.settings import Settings
from moovier.stack import lifecycle, pipeline
from moovier.stack.console import Report
from moovier.stack.environment import Secrets
from moovier.stack.services import SERVICE
from moovier.stack.supervisor import ProcessState, Supervisor
from tests.unit.cli.test_models import version
from tests.unit.stack.fake_airflow import FakeAirflow, serving

#: Number of requests that the service answers with 503 before it is ready.
REFUSALS = 3


class StubSupervisor(Supervisor):
    """A supervisor that only records which processes it is asked to start."""

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        self.started: list[str] = []

    def start_process(self, name: str) -> None:
        self.started.append(name)

    def states(self) -> dict[str, ProcessState]:
        return {}


class StubService(ThreadingHTTPServer):
    """A server that is alive at once and ready after ``REFUSALS`` requests for `/readyz`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _ServiceHandler)
        self.readiness: list[int] = []


class _ServiceHandler(BaseHTTPRequestHandler):
    server: StubService

    def do_GET(self) -> None:
        status = 200
        if self.path == "/readyz":
            status = 503 if len(self.server.readiness) < REFUSALS else 200
            self.server.readiness.append(status)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing."""


@pytest.fixture
def service() -> Iterator[StubService]:
    with StubService() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with serving(FakeAirflow(script={"moovier_ingest": [], "moovier_retrain": []})) as airflow:
        yield airflow


@pytest.mark.parametrize("champion", [None, version(2, "champion")])
def test_start_waits_until_the_service_is_ready_with_and_without_a_champion(
    champion: Version | None,
    service: StubService,
    airflow: FakeAirflow,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = Settings(
        home=tmp_path,
        port=service.server_port,
        mlflow_port=service.server_port,
        airflow_port=int(airflow.url.rpartition(":")[2]),
    )
    supervisor = StubSupervisor(tmp_path)
    retrainings: list[Path] = []
    monkeypatch.setattr(lifecycle, "_POLL_S", 0.01)
    monkeypatch.setattr(lifecycle, "_migrate_airflow", lambda *_arguments: None)
    monkeypatch.setattr(lifecycle, "_champion", lambda _settings: champion)
    monkeypatch.setattr(
        pipeline,
        "first_retraining",
        lambda _airflow, task_logs, _report, _check: retrainings.append(task_logs),
    )
    keys = Secrets("correct", "", "", "")
    running = lifecycle._bring_up(settings, supervisor, keys, Report(Console(file=io.StringIO())))
    assert running.champion == champion
    assert supervisor.started.count(SERVICE) == 1
    assert service.readiness == [503] * REFUSALS + [200]
    assert len(retrainings) == (champion is None)
