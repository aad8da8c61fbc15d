"""Real servers for tests, each with its own folder, port and process group."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

#: A start takes 5 s, and minutes on a machine where other work keeps all cores busy.
START_S = 240.0


@dataclass(frozen=True)
class Server:
    """A running server. ``folder`` holds everything that it writes."""

    address: str
    process: subprocess.Popen[bytes]
    folder: Path


def free_port() -> int:
    """Return a port on which nothing listens; each call returns another one."""
    while True:
        port = next(_ports)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


#: Ports below the ephemeral range: the system may hand an ephemeral port to any connection before
#: the server binds it. Shuffled, because several test processes draw at once.
_ports = itertools.cycle(random.SystemRandom().sample(range(10_000, 32_000), 22_000))


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int | None = None) -> Iterator[Server]:
    """Run MLflow on SQLite with proxied artifacts; a restart in ``folder`` keeps its contents."""
    port = port or free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    with (folder / "mlflow.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        _wait(f"{address}/api/2.0/mlflow/experiments/get?experiment_id=0", process, folder)
        yield Server(address, process, folder)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes], patience_s: float = 10.0) -> None:
    """End a group leader and its whole group: SIGTERM, then SIGKILL after ``patience_s``."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


def kill(process: psutil.Process) -> None:
    """Kill a process and wait for its end, so that another one gives the next answer."""
    process.kill()
    process.wait(60)


def worker_of(process: subprocess.Popen[bytes], name: str) -> psutil.Process | None:
    """Return a worker of the service ``name`` below a ``bentoml serve``, or None without one."""
    return next(iter(workers_of(process, name)), None)


def workers_of(process: subprocess.Popen[bytes], name: str) -> list[psutil.Process]:
    """Return the workers of the service ``name`` below a ``bentoml serve``."""
    workers = []
    with contextlib.suppress(psutil.NoSuchProcess):
        for worker in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                words = worker.cmdline()
                if "--service-name" in words and words[words.index("--service-name") + 1] == name:
                    workers.append(worker)
    return workers


def _wait(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url, trust_env=False, timeout=2.0).is_success:
                return
        time.sleep(0.2)
    log = (folder / "mlflow.log").read_text(errors="replace")[-2000:]
    raise RuntimeError(f"MLflow did not start:\n{log}")
