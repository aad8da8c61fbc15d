"""Kill each service of the running stack during a retraining, restart it, and report the outcome.

The report is a table with one line per service.

python -m tests.stack_processes.faults [--only SERVICE,SERVICE] [--write FILE]
"""

from __future__ import annotations

import argparse
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.stack_processes.api_client import (
    INGEST,
    RETRAIN,
    AirflowClient,
    RegistryClient,
    ServiceClient,
)
from tests.stack_processes.driver import Stack, generated_variables
from tests.stack_processes.processes import process_stack

WORKERS = 2
CONF = {"families": ["dae"], "trials": 2, "workers": WORKERS}
UP_S, RUN_S = 600.0, 1200.0
POLL_S = 0.2


@dataclass(frozen=True)
class Fault:
    """A kill of ``container`` by SIGKILL while the task ``during`` runs.

    The container is started again after ``outage_s`` seconds. ``container`` None stands for the
    worker that runs the task.
    """

    name: str
    container: str | None
    during: str
    outage_s: float

    def hit(self, stack: Stack, container: str, say: Callable[[str], None]) -> None:
        """Kill the container and start it again."""
        say(f"kill -9 {container} during {self.during}")
        stack.kill(container)
        time.sleep(self.outage_s)
        stack.start(container)
        stack.await_healthy(container, timeout_s=UP_S)
        say(f"{container} is back")


FAULTS = (
    Fault("Postgres", "postgres-1", "tune", 30),
    Fault("Redis", "redis-1", "tune", 30),
    Fault("S3 store", "s3-1", "register", 30),
    Fault("MLflow", "mlflow-1", "train", 60),
    Fault("Celery worker", None, "tune", 30),
    Fault("Scheduler", "airflow-scheduler-1", "tune", 30),
)


class Poll:
    """A thread that requests recommendations all the time and counts the statuses."""

    def __init__(self, stack: Stack) -> None:
        self._service = ServiceClient(stack)
        self._stop = threading.Event()
        self.statuses: Counter[str] = Counter()
        self.slowest_s = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Poll:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    @property
    def failed(self) -> int:
        """The number of requests without a status of 200."""
        return self.statuses.total() - self.statuses["200"]

    def _run(self) -> None:
        users = itertools.cycle(range(1, 50))
        while not self._stop.wait(POLL_S):
            started = time.monotonic()
            try:
                status = str(self._service.predict(next(users)).status_code)
            except httpx.HTTPError as error:
                status = type(error).__name__
            self.statuses[status] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)


@dataclass
class Outcome:
    """The result of a retraining. ``retried``: tasks that needed more than one attempt."""

    state: str
    seconds: float
    retried: int
    versions: int
    broken: list[str]
    runs: Counter[str]
    polls: int
    failed_polls: int
    slowest_s: float

    def problems(self, expected: Outcome) -> list[str]:
        """Return the differences from an undisturbed retraining."""
        problems = list(self.broken)
        if self.state != "success":
            problems.append(f"the retraining ended as {self.state}")
        if self.versions != expected.versions:
            problems.append(f"{self.versions} versions instead of {expected.versions}")
        if self.runs["FINISHED"] != expected.runs["FINISHED"]:
            problems.append(
                f"{self.runs['FINISHED']} finished runs instead of {expected.runs['FINISHED']}"
            )
        if self.runs["RUNNING"]:
            problems.append(f"{self.runs['RUNNING']} runs never ended")
        if self.failed_polls:
            problems.append(f"{self.failed_polls} of {self.polls} requests to /predict failed")
        return problems


def first_ingest(stack: Stack) -> None:
    """Run the first ingest, which the retrainings need."""
    airflow = AirflowClient(stack)
    airflow.pause(RETRAIN)
    stack.start("first-training-1")
    deadline = time.monotonic() + UP_S
    while not (runs := airflow.runs(INGEST)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no run of {INGEST}:\n{stack.logs('first-training-1')}")
        time.sleep(1.0)
    ended = airflow.follow(INGEST, runs[0]["dag_run_id"], timeout_s=RUN_S)
    if ended != "success":
        raise RuntimeError(airflow.describe(INGEST, runs[0]["dag_run_id"]))


def retraining(stack: Stack, fault: Fault | None, say: Callable[[str], None]) -> Outcome:
    """Run one retraining with ``fault`` in its middle, and return its outcome."""
    airflow, started = AirflowClient(stack), time.monotonic()
    with Poll(stack) as poll:
        run = airflow.trigger(RETRAIN, CONF)
        airflow.pause(RETRAIN, paused=False)
        if fault is not None:
            _apply(stack, airflow, run, fault, say)
        state = airflow.follow(RETRAIN, run, timeout_s=RUN_S)
        seconds = time.monotonic() - started
        # The service must load the new champion, too.
        if state == "success":
            ServiceClient(stack).await_version(RegistryClient(stack).champion()["version"])
    say(airflow.describe(RETRAIN, run))
    airflow.pause(RETRAIN)
    tasks = airflow.tasks(RETRAIN, run)
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", run).strip("-")[:100]
    registry = RegistryClient(stack)
    versions = [
        version for version in registry.versions() if _tags(version).get("retraining") == key
    ]
    return Outcome(
        state=state,
        seconds=seconds,
        retried=sum(task["try_number"] > 1 for task in tasks),
        versions=len(versions),
        broken=[problem for version in versions if (problem := _problem_of(stack, version))],
        runs=Counter(run["info"]["status"] for run in registry.runs(key)),
        polls=poll.statuses.total(),
        failed_polls=poll.failed,
        slowest_s=poll.slowest_s,
    )


def _apply(
    stack: Stack, airflow: AirflowClient, run: str, fault: Fault, say: Callable[[str], None]
) -> None:
    task = _await_task(airflow, run, fault)
    fault.hit(stack, fault.container or _worker_of(stack, task["id"]), say)


def _await_task(airflow: AirflowClient, run: str, fault: Fault) -> dict[str, Any]:
    """Wait for a running task called ``fault.during`` and return it."""
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline and airflow.state(RETRAIN, run) not in ("success", "failed"):
        for task in airflow.tasks(RETRAIN, run):
            if task["task_id"] == fault.during and task["state"] == "running":
                return task
        time.sleep(0.3)
    raise RuntimeError(f"{fault.name}: no running task {fault.during} within {RUN_S:.0f} s")


def _worker_of(stack: Stack, task: str) -> str:
    """Return the worker that runs the task with this id."""
    for number in range(1, WORKERS + 1):
        if task in stack.logs(name := f"airflow-worker-{number}"):
            return name
    raise RuntimeError(f"no worker has task {task} in its log")


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version.get("tags", [])}


def _problem_of(stack: Stack, version: dict[str, Any]) -> str:
    """Return what is wrong with a version: incomplete, or not served; else an empty string."""
    number = version["version"]
    if _tags(version).get("complete") != "true":
        return f"version {number} is not complete"
    answer = ServiceClient(stack).http.post("/predict", params={"model_name": number}, json=[1])
    if answer.status_code != 200:
        return f"version {number} does not answer: {answer.status_code} {answer.text[:200]}"
    return ""


def table(expected: Outcome, lines: list[tuple[Fault, Outcome]]) -> str:
    """Return the outcomes as a Markdown table."""
    head = "| killed with -9 | during | away | retraining | tasks run again | versions whole "
    head += "| runs left open | `/predict` answered 200 | slowest |"
    rows = [head, "|---|---|---|---|---|---|---|---|---|"]
    rows.append(_row("nothing", "", "", expected, expected))
    for fault, outcome in lines:
        away = f"{fault.outage_s:.0f} s"
        rows.append(_row(fault.name, f"`{fault.during}`", away, outcome, expected))
    return "\n".join(rows) + "\n"


def _row(name: str, during: str, away: str, outcome: Outcome, expected: Outcome) -> str:
    complete = outcome.versions - len(outcome.broken)
    cells = [
        *(name, during, away, f"{outcome.state}, {outcome.seconds:.0f} s", str(outcome.retried)),
        *(f"{complete} of {expected.versions}", str(outcome.runs["RUNNING"])),
        *(
            f"{outcome.polls - outcome.failed_polls} of {outcome.polls}",
            f"{outcome.slowest_s * 1000:.0f} ms",
        ),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of services, separated by commas")
    parser.add_argument("--write", type=Path, help="the file to write the table to")
    arguments = parser.parse_args()
    names = {name.strip().casefold() for name in arguments.only.split(",") if name.strip()}
    chosen = [fault for fault in FAULTS if not names or fault.name.casefold() in names]
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)

    lines: list[tuple[Fault, Outcome]] = []
    problems: list[str] = []
    scale = {"airflow-worker": WORKERS}
    with process_stack(generated_variables(MOOVIER_DATA="sample"), scale) as stack:
        stack.up(timeout_s=UP_S, without=frozenset({"first-training"}))
        say("all services are up")
        first_ingest(stack)
        # The first retraining makes the first champion; the second one is the reference.
        retraining(stack, None, say)
        expected = retraining(stack, None, say)
        say(f"undisturbed: {expected}")
        for fault in chosen:
            try:
                outcome = retraining(stack, fault, say)
            except (RuntimeError, TimeoutError) as error:
                problems.append(f"{fault.name}: {error}")
                say(problems[-1])
                continue
            lines.append((fault, outcome))
            problems += [f"{fault.name}: {text}" for text in outcome.problems(expected)]
            if fault.container is None and not outcome.retried:
                problems.append(f"{fault.name}: no task was interrupted")
            say(f"{fault.name}: {outcome}")
        text = table(expected, lines)
    print(text)
    if arguments.write:
        arguments.write.parent.mkdir(parents=True, exist_ok=True)
        arguments.write.write_text(text)
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
