"""Run MLflow and other servers for benchmarks, each in its own process group."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from moovier.settings import Settings
from moovier.stack.services import console_script, service_command

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
_START_S = 120.0
_STOP_S = 10.0


def free_port() -> int:
    """Return a port on which no server listens."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def process(
    command: Sequence[str], environment: Mapping[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the project's folder; end its process group after the block."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            cwd=ROOT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                started.wait(_STOP_S)


def wait_until_ready(url: str, started: subprocess.Popen[bytes], log: Path) -> float:
    """Wait until ``url`` answers with success; return the seconds since the call.

    Raises:
        RuntimeError: The process ended or was not ready in time; the message has its log.
    """
    start = time.monotonic()
    # One client for all requests: each new one reads certificates, which takes processor time from
    # the starting server.
    with httpx.Client(trust_env=False, timeout=10.0) as client:
        while time.monotonic() - start < _START_S and started.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get(url).is_success:
                    return time.monotonic() - start
            time.sleep(0.02)
    raise RuntimeError(f"{url} is not ready:\n{log.read_text(errors='replace')[-2000:]}")


@contextlib.contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """Run MLflow on SQLite in ``folder``; yield its address."""
    address, log = f"http://{HOST}:{free_port()}", folder / "mlflow.log"
    command = (
        *(console_script("mlflow"), "server", "--host", HOST, "--port", address.rpartition(":")[2]),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
    )
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with process(command, environment, log) as server:
        wait_until_ready(f"{address}/health", server, log)
        yield address


def service_environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a service with these settings and without TMDB."""
    environment = {
        **os.environ,
        "MOOVIER_HOME": str(settings.home),
        "MOOVIER_WORKERS": str(settings.workers),
        "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri,
        "BENTOML_HOME": str(settings.path("bentoml")),
        "BENTOML_DO_NOT_TRACK": "true",
    }
    environment.pop("TMDB_API_KEY", None)
    return environment


@dataclass(frozen=True)
class Service:
    """A running service; ``ready_s``: seconds from its start until it was ready."""

    port: int
    process: subprocess.Popen[bytes]
    ready_s: float

    @property
    def address(self) -> str:
        """Return its URL."""
        return f"http://{HOST}:{self.port}"


@contextlib.contextmanager
def service(settings: Settings) -> Iterator[Service]:
    """Run the service of ``settings`` with its trainer, on a free port."""
    port, log = free_port(), settings.path("service.log")
    settings.path().mkdir(parents=True, exist_ok=True)
    command = service_command(settings.model_copy(update={"port": port}))
    with process(command, service_environment(settings), log) as server:
        ready_s = wait_until_ready(f"http://{HOST}:{port}/readyz", server, log)
        yield Service(port, server, ready_s)


def proportional_memory(settings: Settings, visitors: Sequence[bytes]) -> list[float]:
    """Return the proportional memory (PSS) of each worker in MB, largest first.

    ``visitors``: bodies of `/recommend`; a few of them are answered first.
    """
    with service(settings) as running:
        # New connections, so that each worker answers a part.
        for body in visitors[:200]:
            httpx.post(
                f"{running.address}/recommend",
                content=body,
                headers={"Content-Type": "application/json"},
                trust_env=False,
                timeout=60.0,
            ).raise_for_status()
        workers = workers_of(running.process, "Moovier")
        return sorted((one.memory_full_info().pss / 2**20 for one in workers), reverse=True)


def workers_of(server: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """Return the worker processes of the BentoML service ``name``.

    Raises:
        RuntimeError: There is no such worker.
    """
    workers = []
    for worker in psutil.Process(server.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            arguments = worker.cmdline()
            if "--service-name" not in arguments:
                continue
            if arguments[arguments.index("--service-name") + 1] == name:
                workers.append(worker)
    if not workers:
        raise RuntimeError(f"BentoML runs no worker of the service {name}")
    return workers
