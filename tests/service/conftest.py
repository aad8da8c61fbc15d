"""Fixtures of the service on a real MLflow, in this process and as processes of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from moovier.jobs.registration import open_registry
from moovier.registry.version import Version
from moovier.settings import PREFIX, Settings
from tests.dvc_checkout import ROOT
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server, end_group, free_port

if TYPE_CHECKING:
    from tests.service.in_process import FakeTrainer, InProcessClient

#: A start takes 10 s, and minutes on a machine where other work keeps all cores busy.
START_S = 240.0


@pytest.fixture(scope="module")
def toy_service(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[InProcessClient, Settings]]:
    """Yield a service in this process with a champion and another model; change neither."""
    from tests.service.in_process import OTHER_MODEL, started

    folder = tmp_path_factory.mktemp("toy-service")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder))
    published(settings, folder, OTHER_MODEL)
    with started(settings) as client:
        yield client, settings


@pytest.fixture
def client(toy_service: tuple[InProcessClient, Settings]) -> InProcessClient:
    from tests.service.in_process import FakeTrainer

    client, _ = toy_service
    client.state.trainer = FakeTrainer()
    return client


@pytest.fixture
def trainer(client: InProcessClient) -> FakeTrainer:
    trainer: FakeTrainer = client.state.trainer
    return trainer


@pytest.fixture
def settings(mlflow: Server, tmp_path: Path) -> Settings:
    """Return settings with a home folder and a registered model of this test."""
    return own_settings(mlflow, tmp_path / "home")


def own_settings(mlflow: Server, home: Path) -> Settings:
    name = f"moovier-{uuid.uuid4().hex[:8]}"
    return Settings(
        home=home, mlflow_tracking_uri=mlflow.address, registered_model=name, experiment=name
    )


def environment(settings: Settings, **variables: str) -> dict[str, str]:
    """Return the environment of a process with ``settings`` and without the developer's own."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith((PREFIX, "BENTOML")) and name != "TMDB_API_KEY"
    }
    return {
        **own,
        "MOOVIER_HOME": str(settings.home),
        "MOOVIER_REGISTERED_MODEL": settings.registered_model,
        "MOOVIER_EXPERIMENT": settings.experiment,
        "MOOVIER_REGISTRY_POLL_S": "1",
        # The default depends on the machine's cores.
        "MOOVIER_WORKERS": "1",
        # Most tests train nothing, and an import of Keras keeps a core busy for seconds.
        "MOOVIER_PRELOAD_TRAINER": "false",
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **variables,
    }


def published(
    settings: Settings, folder: Path, name: str = "moovier_popular_1_trained_0"
) -> Version:
    """Register a toy model without promoting it."""
    return register(settings, folder, toy_bundle(name))


def promote(settings: Settings, version: Version) -> None:
    open_registry(settings).promote(version, "for a test")


def wait_for(holds: Callable[[], bool], timeout_s: float = 180.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, f"not true within {timeout_s:g} s"
        time.sleep(0.05)


@dataclass(frozen=True)
class Service:
    """A running `bentoml serve` and the seconds until it was ready."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    ready_s: float

    def client(self, timeout_s: float = 60.0) -> httpx.Client:
        return httpx.Client(base_url=self.address, trust_env=False, timeout=timeout_s)


@contextlib.contextmanager
def running_service(
    settings: Settings, *, port: int | None = None, **variables: str
) -> Iterator[Service]:
    """Run the API and its trainer until the block ends."""
    port = port or free_port()
    settings.home.mkdir(parents=True, exist_ok=True)
    log = settings.home / "service.log"
    command = [str(Path(sys.executable).with_name("bentoml")), "serve", "bentos.service:Moovier"]
    command += ["--host", "127.0.0.1", "--port", str(port)]
    started = time.monotonic()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(settings, **variables),
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        while True:
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{address}/livez", trust_env=False, timeout=2).is_success:
                    break
            if process.poll() is not None or time.monotonic() - started > START_S:
                raise RuntimeError(f"the service did not start:\n{log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield Service(address, process, log, time.monotonic() - started)
    finally:
        end_group(process)
