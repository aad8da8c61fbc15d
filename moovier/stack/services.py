"""The processes of the stack: their commands, addresses and order."""

from __future__ import annotations

import sysconfig
from dataclasses import dataclass
from pathlib import Path

from moovier.settings import Settings

MLFLOW, API_SERVER, SCHEDULER, DAG_PROCESSOR, SERVICE = (
    "mlflow",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "service",
)
#: Address of MLflow and Airflow, which only this machine needs to reach.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ManagedProcess:
    """One supervised process.

    Attributes:
        name: Name of the process and of its log.
        command: The command and its arguments.
        directory: Working directory.
        autostart: Whether the process starts with the supervisor; otherwise it starts on request.
        stop_wait_s: Seconds between SIGTERM and SIGKILL for its process group.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    autostart: bool = True
    stop_wait_s: int = 10


def console_script(name: str) -> str:
    """Return the path of the console script ``name`` in the current Python environment.

    Debian's own Python is in another folder than the scripts of the packages that pip installs.
    """
    return str(Path(sysconfig.get_path("scripts"), name))


def mlflow_url(settings: Settings) -> str:
    """Return the address of the stack's MLflow."""
    return f"http://{LOOPBACK}:{settings.mlflow_port}"


def airflow_url(settings: Settings) -> str:
    """Return the address of the stack's Airflow."""
    return f"http://{LOOPBACK}:{settings.airflow_port}"


def service_url(settings: Settings) -> str:
    """Return the address of the service as seen from this machine."""
    host = LOOPBACK if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://{host}:{settings.port}"


def service_command(settings: Settings) -> tuple[str, ...]:
    """Return the command that serves the HTTP API in the foreground, from the project's folder."""
    return (
        console_script("bentoml"),
        "serve",
        "bentos.service:Moovier",
        "--host",
        settings.host,
        "--port",
        str(settings.port),
        "--timeout-keep-alive",
        str(settings.keep_alive_s),
    )


def managed_processes(settings: Settings) -> tuple[ManagedProcess, ...]:
    """Return all processes in the order of their starts; they stop in reverse order.

    Only MLflow starts with the supervisor. Airflow starts after the migration of its database. The
    service starts after the first retraining, from which its TensorFlow would take processor time.
    """
    home = settings.path()
    airflow = console_script("airflow")
    port = str(settings.airflow_port)
    serve_api = ("api-server", "--host", LOOPBACK, "--port", port, "--workers", "1")
    return (
        ManagedProcess(MLFLOW, _mlflow(settings), home),
        ManagedProcess(API_SERVER, (airflow, *serve_api), home, autostart=False),
        # Task logs are read from disk, and the log server would occupy a fixed port.
        ManagedProcess(
            SCHEDULER,
            (airflow, "scheduler", "--skip-serve-logs"),
            home,
            autostart=False,
            stop_wait_s=15,
        ),
        ManagedProcess(DAG_PROCESSOR, (airflow, "dag-processor"), home, autostart=False),
        ManagedProcess(
            SERVICE, service_command(settings), settings.project.absolute(), autostart=False
        ),
    )


def _mlflow(settings: Settings) -> tuple[str, ...]:
    store = settings.path("mlflow")
    return (
        console_script("mlflow"),
        "server",
        "--host",
        LOOPBACK,
        "--port",
        str(settings.mlflow_port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{store / 'mlflow.db'}",
        "--serve-artifacts",
        "--artifacts-destination",
        str(store / "artifacts"),
    )
