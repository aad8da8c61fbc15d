"""A retraining survives outages of MLflow and of the studies' Postgres."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from moovier.jobs.registration import open_registry
from tests.fakes.relay import Relay, relay_before
from tests.fixtures import RANKING
from tests.postgres import own_database
from tests.retraining_harness import Retraining, tags
from tests.servers import Server
from tests.worker_processes import WorkerProcesses

#: Seconds of a long outage, then number and seconds of short ones, which lose the answers to
#: requests that succeeded, and seconds between the outages.
LONG_OUTAGE_S, SHORT_OUTAGES, SHORT_OUTAGE_S, PAUSE_S = 1.5, 2, 0.15, 0.4
#: Like Airflow's retries (dags/moovier_tasks.py), with shorter waits.
TRIES, BETWEEN_TRIES_S = 6, 1.0
_PATIENCE_S = 120.0


class InterruptedRetraining(Retraining):
    """A retraining that reaches its servers through ``relays``, which cut the connection."""

    def __init__(
        self,
        mlflow: Server,
        relays: dict[str, Relay],
        studies: str,
        folder: Path,
        own: WorkerProcesses,
    ) -> None:
        super().__init__(mlflow, studies, folder, own, address=relays["mlflow"].address)
        self.relays = relays
        #: Number of tries by stage.
        self.tries: Counter[str] = Counter()

    def run(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Any:
        """Run a stage as Airflow does, with retries."""
        while True:
            self.tries[stage] += 1
            try:
                return super().run(machine, stage, *arguments, **options)
            except RuntimeError:
                if self.tries[stage] == TRIES:
                    raise
            time.sleep(BETWEEN_TRIES_S)

    @contextlib.contextmanager
    def outages(self, name: str, should_start: Callable[[], bool]) -> Iterator[None]:
        """Cut the server ``name`` several times within the block, from ``should_start`` on."""

        def cut_several_times() -> None:
            deadline = time.monotonic() + _PATIENCE_S
            while not should_start() and time.monotonic() < deadline:
                time.sleep(0.01)
            self.cut(name, LONG_OUTAGE_S)
            for _ in range(SHORT_OUTAGES):
                time.sleep(PAUSE_S)
                self.cut(name, SHORT_OUTAGE_S)

        thread = threading.Thread(target=cut_several_times)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def cut(self, name: str, seconds: float) -> None:
        """Cut the connection to a server for a time."""
        self.relays[name].cut()
        time.sleep(seconds)
        self.relays[name].restore()


@pytest.fixture
def interrupted(
    mlflow: Server, tmp_path: Path, worker_processes: WorkerProcesses
) -> Iterator[InterruptedRetraining]:
    with own_database() as url, relay_before(mlflow.address) as one, relay_before(url) as other:
        studies = f"{url.rpartition('@')[0]}@{other.address.removeprefix('http://')}"
        studies += f"/{url.rpartition('/')[2]}"
        yield InterruptedRetraining(
            mlflow, {"mlflow": one, "studies": other}, studies, tmp_path, worker_processes
        )


# Tuning that loses its connections: tests/unit/tuning/test_workers.py. Lost answers of MLflow:
# tests/unit/registry/test_tracking.py.
@pytest.mark.stack
def test_retraining_with_outages_finishes_without_duplicates(
    interrupted: InterruptedRetraining,
) -> None:
    plan = interrupted.prepare("first")

    def parts() -> set[str]:
        return {tags(run)["part"] for run in interrupted.listed()}

    with interrupted.outages("mlflow", lambda: any("-trial-" in part for part in parts())):
        interrupted.run("second", "tune", {**plan, "trials": 3}, RANKING, 0)
    with interrupted.outages("studies", lambda: True):
        interrupted.run("third", "tune", {**plan, "trials": 5}, RANKING, 1)
    with interrupted.outages("mlflow", lambda: f"{RANKING}-tuned" in parts()):
        trained = interrupted.run("second", "train", plan, RANKING)
    with interrupted.outages("mlflow", lambda: True):
        versions = interrupted.run("third", "register", plan, trained)
    with interrupted.outages("mlflow", lambda: True):
        decision = interrupted.run("second", "gate", plan, versions)
    with interrupted.outages("mlflow", lambda: True):
        result = interrupted.run("third", "promote", plan, decision)
    assert result["champion"] == decision["name"]

    runs = interrupted.listed()
    assert set(Counter(tags(run)["part"] for run in runs).values()) == {1}
    assert "RUNNING" not in {run["info"]["status"] for run in runs}
    assert len([run for run in runs if "-trial-" in tags(run)["part"]]) == 5
    registered = open_registry(interrupted.settings).versions()
    assert sorted(version.number for version in registered) == sorted(versions)
    assert len(versions) == len(trained)
    # Every model is uploaded once and completely.
    assert sorted(model["info"]["source_run_id"] for model in interrupted.models()) == sorted(
        candidate["run_id"] for candidate in trained
    )
    assert sum(interrupted.tries.values()) > len(interrupted.tries), "no outage hit a stage"
