"""Start the first ingest and retraining in Airflow, and follow their tasks."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from moovier.errors import StackError
from moovier.registry.client import Registry
from moovier.stack.airflow_api import AirflowApi, Run, Task
from moovier.stack.console import Report
from moovier.stack.supervisor import tail

INGEST, RETRAIN = "moovier_ingest", "moovier_retrain"
POOL = "moovier"
_POLL_S = 1.0
#: State of a task that waits for an approval by a person.
_WAITS = "awaiting_input"
#: The scheduler starts the retraining within seconds of the ingest's asset event.
_ASSET_TIMEOUT_S = 120.0
#: Parsing both DAG files takes seconds, and longer on a busy machine.
_DAGS_TIMEOUT_S = 180.0


def await_dags(airflow: AirflowApi, check: Callable[[], None]) -> None:
    """Wait until Airflow has imported both DAGs.

    ``check`` is called at every poll and may raise to stop the wait.

    Raises:
        StackError: A DAG file cannot be imported, or the wait took too long.
    """
    deadline = time.monotonic() + _DAGS_TIMEOUT_S
    while not (airflow.knows(INGEST) and airflow.knows(RETRAIN)):
        if errors := airflow.import_errors():
            raise StackError("Airflow cannot import a DAG file\n" + "\n".join(errors))
        if time.monotonic() > deadline:
            raise StackError(
                f"Airflow did not find the DAGs within {_DAGS_TIMEOUT_S:.0f} s; see the log of "
                "airflow-dag-processor"
            )
        check()
        time.sleep(_POLL_S)


def first_retraining(
    airflow: AirflowApi, task_logs: Path, report: Report, check: Callable[[], None]
) -> None:
    """Run the ingest and the retraining that its asset event starts; return when both succeeded.

    Runs of an earlier start that are still active are followed instead of started again.

    Raises:
        StackError: A task failed after its last attempt; the message ends with its log.
    """
    for dag in (INGEST, RETRAIN):
        if airflow.unpause(dag):
            report.line(f"{dag} was paused: resumed, because there is no champion yet")
    follow = _Follower(airflow, task_logs, report, check)
    retraining = airflow.latest_run(RETRAIN)
    if retraining is None or not retraining.active:
        follow(_active(airflow, INGEST) or airflow.trigger(INGEST, "First start: no champion yet"))
        retraining = _await_new_run(airflow, RETRAIN, retraining, check)
    follow(retraining)


def trigger_first_ingest(airflow: AirflowApi, registry: Registry) -> str:
    """Trigger the ingest if there is no champion and neither DAG runs; return a message.

    Raises:
        StackError: Airflow does not answer, or a DAG file cannot be imported.
        RegistryUnavailable: MLflow does not answer.
    """
    # Also if the alias names a version that cannot be used: then this is not the first start.
    if (champion := registry.listing().last_champion()) is not None:
        return f"nothing to do: {champion.name} is the champion"
    await_dags(airflow, lambda: None)
    if active := _active(airflow, INGEST) or _active(airflow, RETRAIN):
        return f"nothing to do: {active.dag} is running"
    return f"triggered {airflow.trigger(INGEST, 'First start: no champion yet').id}"


def _active(airflow: AirflowApi, dag: str) -> Run | None:
    run = airflow.latest_run(dag)
    return run if run is not None and run.active else None


def _await_new_run(
    airflow: AirflowApi, dag: str, previous: Run | None, check: Callable[[], None]
) -> Run:
    deadline = time.monotonic() + _ASSET_TIMEOUT_S
    while True:
        run = airflow.latest_run(dag)
        if run is not None and (previous is None or run.id != previous.id):
            return run
        if time.monotonic() > deadline:
            raise StackError(
                f"{dag} was not started within {_ASSET_TIMEOUT_S:.0f} s of the ingest; see the log "
                "of airflow-scheduler"
            )
        check()
        time.sleep(_POLL_S)


class _Follower:
    """A printer of each change of a task's state, until the run ends."""

    def __init__(
        self, airflow: AirflowApi, task_logs: Path, report: Report, check: Callable[[], None]
    ) -> None:
        self._airflow = airflow
        self._task_logs = task_logs
        self._report = report
        self._check = check

    def __call__(self, run: Run) -> None:
        self._report.line(f"{run.dag} ({run.id})")
        shown: dict[tuple[str, int], tuple[str | None, int]] = {}
        try:
            while True:
                # Read the run first: it ends after its tasks, so the last tasks are not missed.
                run = self._airflow.run(run)
                tasks = self._airflow.tasks(run)
                for task in tasks:
                    key = (task.id, task.map_index)
                    if shown.get(key) != (task.state, task.attempt):
                        shown[key] = (task.state, task.attempt)
                        self._show(task)
                running = [_name(task) for task in tasks if task.state == "running"]
                waits = any(task.state == _WAITS for task in tasks) and not running
                self._report.awaiting(
                    "waiting for a person"
                    if waits
                    else f"running: {', '.join(running) or 'next task'}"
                )
                if not run.active:
                    break
                self._check()
                time.sleep(_POLL_S)
        finally:
            self._report.awaiting(None)
        if run.state != "success":
            raise StackError(self._reason(run, tasks))

    def _show(self, task: Task) -> None:
        if task.state == "success":
            self._report.done(f"  {_name(task)}", task.duration_s)
        elif task.state == "skipped":
            self._report.line(f"  - {_name(task)}: skipped, nothing to do")
        elif task.state == "up_for_retry":
            self._report.failed(f"  {_name(task)}: attempt {task.attempt} failed, retrying")
        elif task.state == "failed":
            self._report.failed(f"  {_name(task)}: failed")
        elif task.state == _WAITS:
            self._report.line(
                f"  {_name(task)}: waiting until a person approves or rejects it at "
                f"{self._airflow.required_actions} (user {self._airflow.user}, password "
                f"{self._airflow.password})"
            )

    def _reason(self, run: Run, tasks: list[Task]) -> str:
        failed = [task for task in tasks if task.state == "failed"]
        if not failed:
            return f"{run.dag} ended as {run.state}"
        log = self._log(run, failed[0])
        return f"{run.dag}: task {_name(failed[0])} failed\n{tail(log, readable=_readable)}"

    def _log(self, run: Run, task: Task) -> Path:
        """Return the path of the task's log, by Airflow's default ``log_filename_template``."""
        folder = self._task_logs / f"dag_id={run.dag}" / f"run_id={run.id}" / f"task_id={task.id}"
        if task.map_index >= 0:
            folder /= f"map_index={task.map_index}"
        return folder / f"attempt={task.attempt}.log"


def _name(task: Task) -> str:
    return f"{task.id} [{task.label}]" if task.label else task.id


def _readable(line: str) -> str | None:
    """Return a line of Airflow's JSON task log as text; None for a group mark."""
    try:
        entry = json.loads(line)
        event = str(entry["event"])
        if event.startswith("::"):
            return None
        causes = [
            f"{cause['exc_type']}: {cause['exc_value']}"
            for cause in entry.get("error_detail") or []
        ]
    except (KeyError, TypeError, ValueError):
        return line
    return "\n  ".join([event, *causes])
