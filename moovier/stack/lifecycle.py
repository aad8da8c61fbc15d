"""`moovier up` and `moovier down`: from nothing to a service that answers, and back."""

from __future__ import annotations

import fcntl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx

from moovier.errors import RegistryError, StackError
from moovier.registry.client import Registry
from moovier.registry.version import CHAMPION, Version
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
    mlflow_url,
    parts,
    service_url,
)
from moovier.stack.supervisor import Supervisor, tail

#: What a slow, busy machine may take until a part answers.
_HEALTHY_TIMEOUT_S = 240.0
#: The parts stop one after the other, each within its own ``stop_wait_s``.
_STOP_TIMEOUT_S = 75.0
_POLL_S = 0.5


@dataclass(frozen=True)
class RunningStack:
    """A stack that is up. ``champion`` is None when no model was good enough to be promoted."""

    settings: Settings
    champion: Version | None
    airflow_password: str


def up(settings: Settings, report: Report) -> RunningStack:
    """Start what does not run yet, retrain when there is no champion, wait until all is well.

    Safe to call again at any point of a stack's life: a running one is left as it is, an
    interrupted start is taken up where it stopped, and what a killed supervisor left is ended.

    Raises:
        StackError: something could not be started; the message says what, and ends with its log.
    """
    home = settings.path()
    home.mkdir(parents=True, exist_ok=True)
    with _only_one(home):
        keys = read_secrets(settings)
        supervisor = Supervisor(home)
        if supervisor.running():
            report.line(f"already running from {home}")
        else:
            if (remote := settings.dvc_remote_address) and _missing(remote):
                report.line(f"the DVC remote {remote} is not there (yet)")
            _start_supervisor(settings, supervisor, keys, report)
        return _bring_up(settings, supervisor, keys, report)


def _missing(remote: str) -> bool:
    return "://" not in remote and not Path(remote).is_dir()


def down(settings: Settings, report: Report) -> bool:
    """Stop every process of the stack, and make sure that none is left; False: there was none.

    Raises:
        StackError: a process could not be ended.
    """
    home = settings.path()
    there = stack_processes(home)
    if not there:
        return False
    with report.step(f"stopping {len(there)} processes", f"stopped {len(there)} processes"):
        Supervisor(home).shut_down(_STOP_TIMEOUT_S)
        end_stack_processes(home)
    return True


def is_up(settings: Settings) -> bool:
    """Whether the stack's supervisor answers."""
    return Supervisor(settings.path()).running()


def broken_parts(settings: Settings) -> list[str]:
    """One line for each part that was given up on by the supervisor."""
    supervisor = Supervisor(settings.path())
    return [
        f"{part.name} has ended for good ({part.note}); see {supervisor.log(part.name)}"
        for part in supervisor.states().values()
        if part.failed
    ]


def _start_supervisor(
    settings: Settings, supervisor: Supervisor, keys: Secrets, report: Report
) -> None:
    if left := end_stack_processes(supervisor.home):
        report.line(f"ended {left} processes that an earlier start had left behind")
    check_ports(settings)
    write_airflow_login(settings, keys.airflow_password)
    settings.path("mlflow", "artifacts").mkdir(parents=True, exist_ok=True)
    with report.step("starting the supervisor", "supervisor started"):
        supervisor.start(parts(settings), stack_environment(settings, keys))


def _migrate_airflow(settings: Settings, keys: Secrets, report: Report) -> None:
    """Bring Airflow's database to this version's form; at once when it has it already."""
    stamp = settings.path("airflow", "migrated_to")
    installed = version("apache-airflow-core")
    if stamp.exists() and stamp.read_text() == installed:
        return
    log = settings.path("logs", "airflow-db-migrate.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with report.step("preparing Airflow's database", "Airflow's database is ready"):
        with log.open("wb") as output:
            done = subprocess.run(
                [console_script("airflow"), "db", "migrate"],
                env=stack_environment(settings, keys),
                cwd=settings.path(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode != 0:
            raise StackError(f"`airflow db migrate` failed\n{tail(log)}")
    stamp.write_text(installed)


def _bring_up(
    settings: Settings, supervisor: Supervisor, keys: Secrets, report: Report
) -> RunningStack:
    check = _Check(supervisor)
    # MLflow starts meanwhile: one core each.
    _migrate_airflow(settings, keys, report)
    for part in (API_SERVER, SCHEDULER, DAG_PROCESSOR):
        supervisor.start_part(part)
    with (
        AirflowApi(airflow_url(settings), AIRFLOW_USER, keys.airflow_password) as airflow,
        httpx.Client(timeout=5.0, trust_env=False) as http,
    ):
        mlflow = mlflow_url(settings) + "/health"
        _await("MLflow", lambda: _answers(http, mlflow), check, MLFLOW, report)
        champion = _champion(settings)
        if champion is not None:
            supervisor.start_part(SERVICE)
        _await("Airflow", lambda: not airflow.unhealthy(), check, API_SERVER, report)
        airflow.ensure_pool(pipeline.POOL, PARALLELISM, "As many tasks as there are workers")
        pipeline.await_dags(airflow, check)
        if champion is None:
            task_logs = settings.path("airflow", "logs")
            pipeline.first_retraining(airflow, task_logs, report, check)
            champion = _champion(settings)
            supervisor.start_part(SERVICE)
        # Without any champion the service is alive but rightly not ready.
        probe = service_url(settings) + ("/readyz" if champion is not None else "/livez")
        _await("Service", lambda: _answers(http, probe), check, SERVICE, report)
    return RunningStack(settings, champion, keys.airflow_password)


class _Check:
    """Raises when the supervisor has gone, or has given up on a part."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def __call__(self) -> None:
        for part in self._supervisor.states().values():
            if part.failed:
                raise StackError(
                    f"{part.name} does not stay up ({part.note})\n{self.said(part.name)}"
                )

    def said(self, part: str) -> str:
        """The end of what ``part`` logged."""
        return tail(self._supervisor.log(part))


def _await(name: str, well: Callable[[], bool], check: _Check, part: str, report: Report) -> None:
    deadline = time.monotonic() + _HEALTHY_TIMEOUT_S
    with report.step(f"waiting for {name}", f"{name} is up"):
        while not well():
            check()
            if time.monotonic() > deadline:
                raise StackError(
                    f"{name} was not ready within {_HEALTHY_TIMEOUT_S:.0f} s\n{check.said(part)}"
                )
            time.sleep(_POLL_S)


def _answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).is_success
    except httpx.HTTPError:
        return False


def _champion(settings: Settings) -> Version | None:
    registry = Registry(mlflow_url(settings), settings.registered_model)
    try:
        return registry.alias(CHAMPION)
    except RegistryError as error:
        raise StackError(f"cannot read the registry: {error}") from error
    finally:
        registry.close()


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """One start at a time; the lock goes with its process, however that ends."""
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StackError(f"another `moovier up` is just starting from {home}") from error
        yield
