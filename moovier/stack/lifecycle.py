"""Start and stop the stack, for `moovier up` and `moovier down`."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import requests

from moovier.errors import RegistryError, StackError
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.settings import Settings
from moovier.stack import pipeline
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.console import Report
from moovier.stack.environment import (
    AIRFLOW_USER,
    PARALLELISM,
    Secrets,
    read_secrets,
    stack_environment,
    write_airflow_login,
)
from moovier.stack.ports import check_ports
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import (
    API_SERVER,
    DAG_PROCESSOR,
    MLFLOW,
    SCHEDULER,
    SERVICE,
    airflow_url,
    console_script,
    managed_processes,
    mlflow_url,
    service_url,
)
from moovier.stack.supervisor import Supervisor, tail

#: Time that a slow, busy machine may take until a process answers.
_HEALTHY_TIMEOUT_S = 240.0
#: The processes stop one after the other, each within its own ``stop_wait_s``.
_STOP_TIMEOUT_S = 75.0
_POLL_S = 0.5
_ANSWER_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class RunningStack:
    """A running stack; ``champion`` is None if no model was good enough to be promoted."""

    settings: Settings
    champion: Version | None
    airflow_password: str


def up(settings: Settings, report: Report) -> RunningStack:
    """Start the stack, retrain if there is no champion, and wait until every process is ready.

    The function can be called at any time. It leaves a running stack as it is, continues an
    interrupted start, and ends processes that a killed supervisor left behind.

    Raises:
        StackError: A process could not be started; the message names it and ends with its log.
    """
    home = settings.path()
    home.mkdir(parents=True, exist_ok=True)
    with _start_lock(home):
        keys = read_secrets(settings)
        supervisor = Supervisor(home)
        if supervisor.running():
            report.line(f"already running from {home}")
        else:
            if (remote := settings.dvc_remote_address) and _missing(remote):
                report.line(f"the DVC remote {remote} does not exist")
            _start_supervisor(settings, supervisor, keys, report)
        return _bring_up(settings, supervisor, keys, report)


def _missing(remote: str) -> bool:
    return "://" not in remote and not Path(remote).is_dir()


def down(settings: Settings, report: Report) -> bool:
    """Stop every process of the stack; return False if none was running.

    Raises:
        StackError: A process could not be ended.
    """
    home = settings.path()
    count = len(stack_processes(home))
    if not count:
        return False
    with report.step(f"stopping {count} processes", f"stopped {count} processes"):
        Supervisor(home).shut_down(_STOP_TIMEOUT_S)
        end_stack_processes(home)
    return True


def is_up(settings: Settings) -> bool:
    """Return whether the stack's supervisor answers."""
    return Supervisor(settings.path()).running()


def failed_processes(settings: Settings) -> list[str]:
    """Return a line for each process that the supervisor no longer restarts."""
    supervisor = Supervisor(settings.path())
    return [
        f"{state.name} has failed ({state.note}); see {supervisor.log(state.name)}"
        for state in supervisor.states().values()
        if state.failed
    ]


def _start_supervisor(
    settings: Settings, supervisor: Supervisor, keys: Secrets, report: Report
) -> None:
    if left := end_stack_processes(supervisor.home):
        report.line(f"ended {left} processes of an earlier start")
    check_ports(settings)
    write_airflow_login(settings, keys.airflow_password)
    settings.path("mlflow", "artifacts").mkdir(parents=True, exist_ok=True)
    with report.step("starting the supervisor", "supervisor started"):
        supervisor.start(managed_processes(settings), stack_environment(settings, keys))


def _migrate_airflow(settings: Settings, keys: Secrets, report: Report) -> None:
    """Migrate Airflow's database, unless the installed version has migrated it already."""
    stamp = settings.path("airflow", "migrated_to")
    installed = version("apache-airflow-core")
    if stamp.exists() and stamp.read_text() == installed:
        return
    log = settings.path("logs", "airflow-db-migrate.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with report.step("preparing Airflow's database", "Airflow's database is ready"):
        with log.open("wb") as output:
            migration = subprocess.run(
                [console_script("airflow"), "db", "migrate"],
                env=stack_environment(settings, keys),
                cwd=settings.path(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if migration.returncode != 0:
            raise StackError(f"`airflow db migrate` failed\n{tail(log)}")
    stamp.write_text(installed)


def _airflow_processes(settings: Settings) -> list[str]:
    """Return the names of Airflow's processes, in the order of their starts."""
    names = {process.name for process in managed_processes(settings)}
    return [name for name in (API_SERVER, SCHEDULER, DAG_PROCESSOR) if name in names]


def _bring_up(
    settings: Settings, supervisor: Supervisor, keys: Secrets, report: Report
) -> RunningStack:
    check = _Check(supervisor)
    # The migration uses one core, and MLflow starts on another meanwhile.
    _migrate_airflow(settings, keys, report)
    for name in _airflow_processes(settings):
        supervisor.start_process(name)
    with (
        AirflowApi(airflow_url(settings), AIRFLOW_USER, keys.airflow_password) as airflow,
        requests.Session() as http,
    ):
        http.trust_env = False  # an HTTP proxy cannot reach this machine's ports
        mlflow = mlflow_url(settings) + "/health"
        _await("MLflow", lambda: _answers(http, mlflow), check, MLFLOW, report)
        champion = _champion(settings)
        if champion is not None:
            supervisor.start_process(SERVICE)
        _await("Airflow", lambda: not airflow.unhealthy(), check, API_SERVER, report)
        airflow.ensure_pool(pipeline.POOL, PARALLELISM, "As many tasks as may run at once")
        pipeline.await_dags(airflow, check)
        if champion is None:
            task_logs = settings.path("airflow", "logs")
            pipeline.first_retraining(airflow, task_logs, report, check)
            champion = _champion(settings)
            supervisor.start_process(SERVICE)
        # The service is ready without a champion too: it then recommends popular movies.
        ready = service_url(settings) + "/readyz"
        _await("Service", lambda: _answers(http, ready), check, SERVICE, report)
    return RunningStack(settings, champion, keys.airflow_password)


class _Check:
    """A check that raises if the supervisor does not answer or a process has failed."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def __call__(self) -> None:
        for state in self._supervisor.states().values():
            if state.failed:
                raise StackError(
                    f"{state.name} does not stay up ({state.note})\n{self.log_end(state.name)}"
                )

    def log_end(self, process: str) -> str:
        """Return the last lines of the log of ``process``."""
        return tail(self._supervisor.log(process))


def _await(
    name: str, is_ready: Callable[[], bool], check: _Check, process: str, report: Report
) -> None:
    deadline = time.monotonic() + _HEALTHY_TIMEOUT_S
    with report.step(f"waiting for {name}", f"{name} is up"):
        while not is_ready():
            check()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} was not ready within {_HEALTHY_TIMEOUT_S:.0f} s\n"
                    f"{check.log_end(process)}"
                )
            time.sleep(_POLL_S)


def _answers(http: requests.Session, url: str) -> bool:
    try:
        return http.get(url, timeout=_ANSWER_TIMEOUT_S).ok
    except requests.RequestException:
        return False


def _champion(settings: Settings) -> Version | None:
    registry = Registry(mlflow_url(settings), settings.registered_model)
    try:
        return registry.listing().last_champion()
    except RegistryError as error:
        raise StackError(f"cannot read the registry: {error}") from error
    finally:
        registry.close()


@contextmanager
def _start_lock(home: Path) -> Iterator[None]:
    """Hold the lock of the stack; the system releases it when this process ends."""
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(
                f"another `moovier up` is starting {home}; wait until it has ended"
            ) from error
        yield
