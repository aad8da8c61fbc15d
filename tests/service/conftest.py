"""The API on a real MLflow, in process and as the processes that people start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from moovier.jobs.registration import open_registry
from moovier.registry.version import Version
from moovier.settings import PREFIX, Settings
from tests.dvc_checkout import ROOT
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server, end_group, free_port

START_S = 90.0


@pytest.fixture
def settings(mlflow: Server, tmp_path: Path) -> Settings:
    """A home of this test's own, and an empty registered model."""
    return own_settings(mlflow, tmp_path / "home")


def own_settings(mlflow: Server, home: Path) -> Settings:
    name = f"moovier-{uuid.uuid4().hex[:8]}"
    return Settings(
        home=home, mlflow_tracking_uri=mlflow.address, registered_model=name, experiment=name
    )


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """What a process needs to run on ``settings``, and nothing of the developer's."""
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
        "MOOVIER_REGISTRY_POLL_S": "0.3",
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "BENTOML_HOME": str(settings.home / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        **more,
    }


def published(
    settings: Settings, folder: Path, name: str = "moovier_popular_1_trained_0"
) -> Version:
    """A toy model, registered but not promoted."""
    return register(settings, folder, toy_bundle(name))


def promote(settings: Settings, version: Version) -> None:
    open_registry(settings).promote(version, "for a test")


@dataclass(frozen=True)
class Service:
    """`bentoml serve`, and how long it took until it was ready."""

    address: str
    process: subprocess.Popen[bytes]
    log: Path
    ready_s: float

    def client(self, timeout_s: float = 60.0) -> httpx.Client:
        return httpx.Client(base_url=self.address, trust_env=False, timeout=timeout_s)


@contextlib.contextmanager
def running_service(
    settings: Settings, *, port: int | None = None, **more: str
) -> Iterator[Service]:
    """The API and the trainer beside it, until the block ends."""
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
            env=environment(settings, **more),
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
