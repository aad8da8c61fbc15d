"""MLflow and the studies' Postgres go away in the middle of a retraining, and come back."""

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

#: Away once so long, and again for moments, so that answers to what was done get lost.
AWAY_S, MOMENTS, MOMENT_S, BACK_S = 1.5, 2, 0.15, 0.4
#: Airflow's tries (dags/moovier_tasks.py), a little less patient.
TRIES, BETWEEN_TRIES_S = 6, 1.0
_PATIENCE_S = 120.0


class Unlucky(Retraining):
    """A retraining whose servers go away while its stages run, behind ``relays``."""

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
        #: Stage: how often it was tried.
        self.tries: Counter[str] = Counter()

    def run(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Any:
        """One stage as Airflow runs it: tried again when it fails."""
        while True:
            self.tries[stage] += 1
            try:
                return super().run(machine, stage, *arguments, **options)
            except RuntimeError:
                if self.tries[stage] == TRIES:
                    raise
            time.sleep(BETWEEN_TRIES_S)

    @contextlib.contextmanager
    def without(self, name: str, moment: Callable[[], bool]) -> Iterator[None]:
        """``name`` goes away at ``moment``, and comes back for good within the block."""

        def come_and_go() -> None:
            until = time.monotonic() + _PATIENCE_S
            while not moment() and time.monotonic() < until:
                time.sleep(0.01)
            self.cut(name, AWAY_S)
            for _ in range(MOMENTS):
                time.sleep(BACK_S)
                self.cut(name, MOMENT_S)

        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            yield
        finally:
            thread.join()

    def cut(self, name: str, seconds: float) -> None:
        self.relays[name].cut()
        time.sleep(seconds)
        self.relays[name].mend()


@pytest.fixture
def unlucky(mlflow: Server, tmp_path: Path, started: WorkerProcesses) -> Iterator[Unlucky]:
    with own_database() as url, relay_before(mlflow.address) as one, relay_before(url) as other:
        studies = f"{url.rpartition('@')[0]}@{other.address.removeprefix('http://')}"
        studies += f"/{url.rpartition('/')[2]}"
        yield Unlucky(mlflow, {"mlflow": one, "studies": other}, studies, tmp_path, started)


def test_a_retraining_ends_well_whatever_goes_away_meanwhile(unlucky: Unlucky) -> None:
    plan = unlucky.prepare("first")
    parts = lambda: {tags(run)["part"] for run in unlucky.listed()}  # noqa: E731
    with unlucky.without("mlflow", lambda: any("-trial-" in part for part in parts())):
        unlucky.run("second", "tune", {**plan, "trials": 4}, RANKING, 0)
    with unlucky.without("studies", lambda: True):
        unlucky.run("third", "tune", {**plan, "trials": 8}, RANKING, 1)
    with unlucky.without("mlflow", lambda: f"{RANKING}-tuned" in parts()):
        trained = unlucky.run("second", "train", plan, RANKING)
    with unlucky.without("mlflow", lambda: True):
        versions = unlucky.run("third", "register", plan, trained)
    with unlucky.without("mlflow", lambda: True):
        decision = unlucky.run("second", "gate", plan, versions)
    with unlucky.without("mlflow", lambda: True):
        said = unlucky.run("third", "promote", plan, decision)
    assert said["champion"] == decision["name"]

    runs = unlucky.listed()
    assert set(Counter(tags(run)["part"] for run in runs).values()) == {1}
    assert "RUNNING" not in {run["info"]["status"] for run in runs}
    assert len([run for run in runs if "-trial-" in tags(run)["part"]]) == 8
    registered = open_registry(unlucky.settings).versions()
    assert sorted(one.number for one in registered) == sorted(versions)
    assert len(versions) == len(trained)
    # Nothing is half uploaded, or twice.
    assert sorted(model["info"]["source_run_id"] for model in unlucky.models()) == sorted(
        one["run_id"] for one in trained
    )
    assert sum(unlucky.tries.values()) > len(unlucky.tries), "nothing went away when it mattered"
