"""What runs: one entry a process, with its command and how to tell that it is well."""

from __future__ import annotations

import sys
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
#: MLflow and Airflow have no reason to be reached from elsewhere in the embedded default.
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class ManagedProcess:
    """One supervised process.

    ``autostart``: starts with the supervisor; otherwise when asked to. ``stop_wait_s``: seconds
    between SIGTERM and SIGKILL for its process group. Parts stop in reverse order.
    """

    name: str
    command: tuple[str, ...]
    directory: Path
    autostart: bool = True
    stop_wait_s: int = 10


def console_script(name: str) -> str:
    """The console script ``name`` of the environment that this process runs in."""
    return str(Path(sys.executable).parent / name)


def mlflow_url(settings: Settings) -> str:
    return f"http://{LOOPBACK}:{settings.mlflow_port}"


def airflow_url(settings: Settings) -> str:
    return f"http://{LOOPBACK}:{settings.airflow_port}"


def service_url(settings: Settings) -> str:
    """Where to reach the service from this machine."""
    host = LOOPBACK if settings.host in ("0.0.0.0", "::") else settings.host
    return f"http://{host}:{settings.port}"


def service_command(settings: Settings) -> tuple[str, ...]:
    """The command that serves the HTTP API in the foreground; run it in the project's folder."""
    return (
        console_script("bentoml"),
        "serve",
        "bentos.service:Moovier",
        "--host",
        settings.host,
        "--port",
        str(settings.port),
    )


def parts(settings: Settings) -> tuple[ManagedProcess, ...]:
    """All parts in the order in which they start; only MLflow starts by itself.

    Airflow waits for its database, and the service for a champion: until then its trainer's
    TensorFlow would only take processor time from the first retraining.
    """
    home = settings.path()
    airflow = console_script("airflow")
    port = str(settings.airflow_port)
    serve_api = ("api-server", "--host", LOOPBACK, "--port", port, "--workers", "1")
    return (
        ManagedProcess(MLFLOW, _mlflow(settings), home),
        ManagedProcess(API_SERVER, (airflow, *serve_api), home, autostart=False),
        # Task logs are read from the disk: the log server would only occupy a fixed port.
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
