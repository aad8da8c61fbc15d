"""Kill one part of the running stack in the middle of a retraining, bring it back, and look what
became of it. One line of a table for each part.

python -m tests.stack_processes.faults [--only PART,PART] [--write FILE]
"""

from __future__ import annotations

import argparse
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.stack_processes.api_client import INGEST, RETRAIN, Operator, Registry, Viewer
from tests.stack_processes.driver import Stack, generated_variables
from tests.stack_processes.processes import process_stack

WORKERS = 2
CONF = {"families": ["dae"], "trials": 2, "workers": WORKERS}
UP_S, RUN_S = 600.0, 1200.0
POLL_S = 0.2


@dataclass(frozen=True)
class Fault:
    """``container`` is killed with -9 while a task called ``during`` runs, and comes back after
    ``outage_s`` seconds. ``container`` None: the worker that has the task."""

    name: str
    container: str | None
    during: str
    outage_s: float


FAULTS = (
    Fault("Postgres", "postgres-1", "tune", 30),
    Fault("Redis", "redis-1", "tune", 30),
    Fault("S3 store", "s3-1", "register", 30),
    Fault("MLflow", "mlflow-1", "train", 60),
    Fault("Celery worker", None, "tune", 30),
    Fault("Scheduler", "airflow-scheduler-1", "tune", 30),
)


class Poll:
    """Asks for recommendations all the time, from a thread of its own."""

    def __init__(self, stack: Stack) -> None:
        self._viewer = Viewer(stack)
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
        return self.statuses.total() - self.statuses["200"]

    def _run(self) -> None:
        users = itertools.cycle(range(1, 50))
        while not self._stop.wait(POLL_S):
            started = time.monotonic()
            try:
                status = str(self._viewer.predict(next(users)).status_code)
            except httpx.HTTPError as error:
                status = type(error).__name__
            self.statuses[status] += 1
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)


@dataclass
class Outcome:
    """What a retraining left behind."""

    state: str
    seconds: float
    again: int = field(metadata={"says": "tasks that needed more than one attempt"})
    versions: int
    broken: list[str]
    runs: Counter[str]
    polls: int
    failed_polls: int
    slowest_s: float

    def problems(self, expected: Outcome) -> list[str]:
        """What is not as after an undisturbed retraining."""
        found = list(self.broken)
        if self.state != "success":
            found.append(f"the retraining ended as {self.state}")
        if self.versions != expected.versions:
            found.append(f"{self.versions} versions instead of {expected.versions}")
        if self.runs["FINISHED"] != expected.runs["FINISHED"]:
            found.append(
                f"{self.runs['FINISHED']} finished runs instead of {expected.runs['FINISHED']}"
            )
        if self.runs["RUNNING"]:
            found.append(f"{self.runs['RUNNING']} runs never ended")
        if self.failed_polls:
            found.append(f"{self.failed_polls} of {self.polls} calls of /predict failed")
        return found


def first_champion(stack: Stack) -> None:
    """The first ingest and a quick retraining, so that there is something to lose."""
    operator = Operator(stack)
    operator.pause(RETRAIN)
    stack.start("first-training-1")
    deadline = time.monotonic() + UP_S
    while not (runs := operator.runs(INGEST)):
        if time.monotonic() > deadline:
            raise TimeoutError(stack.logs("first-training-1"))
        time.sleep(1.0)
    ended = operator.follow(INGEST, runs[0]["dag_run_id"], timeout_s=RUN_S)
    if ended != "success":
        raise RuntimeError(operator.said(INGEST, runs[0]["dag_run_id"]))


def retraining(stack: Stack, fault: Fault | None, say: Callable[[str], None]) -> Outcome:
    """Run one retraining, with ``fault`` in its middle."""
    operator, started = Operator(stack), time.monotonic()
    with Poll(stack) as poll:
        run = operator.trigger(RETRAIN, CONF)
        operator.pause(RETRAIN, paused=False)
        if fault is not None:
            _strike(stack, operator, run, fault, say)
        state = operator.follow(RETRAIN, run, timeout_s=RUN_S)
        seconds = time.monotonic() - started
        # The service has to notice the new champion, too.
        if state == "success":
            Viewer(stack).await_version(Registry(stack).champion()["version"])
    say(operator.said(RETRAIN, run))
    operator.pause(RETRAIN)
    tasks = operator.tasks(RETRAIN, run)
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", run).strip("-")[:100]
    versions = [one for one in Registry(stack).versions() if _tags(one).get("retraining") == key]
    return Outcome(
        state=state,
        seconds=seconds,
        again=sum(task["try_number"] > 1 for task in tasks),
        versions=len(versions),
        broken=[problem for one in versions if (problem := _broken(stack, one))],
        runs=Counter(one["info"]["status"] for one in Registry(stack).runs(key)),
        polls=poll.statuses.total(),
        failed_polls=poll.failed,
        slowest_s=poll.slowest_s,
    )


def _strike(
    stack: Stack, operator: Operator, run: str, fault: Fault, say: Callable[[str], None]
) -> None:
    task = _await_task(operator, run, fault)
    container = fault.container or _holder(stack, task["id"])
    say(f"kill -9 {container} during {fault.during}")
    stack.kill(container)
    time.sleep(fault.outage_s)
    stack.start(container)
    stack.await_healthy(container, timeout_s=UP_S)
    say(f"{container} is back")


def _await_task(operator: Operator, run: str, fault: Fault) -> dict[str, Any]:
    """A task called ``fault.during`` that runs now."""
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline and operator.state(RETRAIN, run) not in ("success", "failed"):
        for task in operator.tasks(RETRAIN, run):
            if task["task_id"] == fault.during and task["state"] == "running":
                return task
        time.sleep(0.3)
    raise RuntimeError(f"no task {fault.during} to kill {fault.name} in")


def _holder(stack: Stack, task: str) -> str:
    """The worker that took the task with this id."""
    for number in range(1, WORKERS + 1):
        if task in stack.logs(name := f"airflow-worker-{number}"):
            return name
    raise RuntimeError(f"no worker says that it took {task}")


def _tags(version: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in version.get("tags", [])}


def _broken(stack: Stack, version: dict[str, Any]) -> str:
    """What is wrong with a version; nothing, when it is complete and the service answers by it."""
    number = version["version"]
    if _tags(version).get("complete") != "true":
        return f"version {number} is not complete"
    answer = Viewer(stack).http.post("/predict", params={"model_name": number}, json=[1])
    if answer.status_code != 200:
        return f"version {number} does not answer: {answer.status_code} {answer.text[:200]}"
    return ""


def table(expected: Outcome, lines: list[tuple[Fault, Outcome]]) -> str:
    """As Markdown."""
    head = "| killed with -9 | during | away | retraining | tasks run again | versions whole "
    head += "| runs left open | `/predict` answered 200 | slowest |"
    rows = [head, "|---|---|---|---|---|---|---|---|---|"]
    rows.append(_row("nothing", "", "", expected, expected))
    for fault, outcome in lines:
        away = f"{fault.outage_s:.0f} s"
        rows.append(_row(fault.name, f"`{fault.during}`", away, outcome, expected))
    return "\n".join(rows) + "\n"


def _row(name: str, during: str, away: str, one: Outcome, expected: Outcome) -> str:
    whole = one.versions - len(one.broken)
    cells = [
        *(name, during, away, f"{one.state}, {one.seconds:.0f} s", str(one.again)),
        *(f"{whole} of {expected.versions}", str(one.runs["RUNNING"])),
        *(f"{one.polls - one.failed_polls} of {one.polls}", f"{one.slowest_s * 1000:.0f} ms"),
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names of parts, with commas between")
    parser.add_argument("--write", type=Path, help="file for the table")
    arguments = parser.parse_args()
    wanted = {name.strip().casefold() for name in arguments.only.split(",") if name.strip()}
    chosen = [fault for fault in FAULTS if not wanted or fault.name.casefold() in wanted]
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", flush=True)

    lines: list[tuple[Fault, Outcome]] = []
    problems: list[str] = []
    scale = {"airflow-worker": WORKERS}
    with process_stack(generated_variables(MOOVIER_DATA="sample"), scale) as stack:
        stack.up(timeout_s=UP_S, without=frozenset({"first-training"}))
        say("everything is up")
        first_champion(stack)
        # Before the first champion there is nothing to recommend.
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
            if fault.container is None and not outcome.again:
                problems.append(f"{fault.name}: no task was hit")
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
