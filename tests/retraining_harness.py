"""A retraining whose stages run in separate processes and homes, as on several machines."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.jobs import retrain
from moovier.registry.run_artifacts import RunArtifacts
from moovier.settings import Settings
from tests.fixtures import RANKING, toy_movielens
from tests.servers import Server
from tests.worker_processes import Job, WorkerProcesses


class Retraining:
    """One retraining with a registered model of its own; each stage names its machine."""

    def __init__(
        self,
        mlflow: Server,
        studies: str | None,
        folder: Path,
        processes: WorkerProcesses,
        *,
        address: str | None = None,
        family: str = RANKING,
    ) -> None:
        """``address``: the one that stages use for MLflow, such as a relay's."""
        name = f"moovier-{uuid.uuid4().hex[:8]}"
        self.config = {"families": [family], "trials": 3, "workers": 2}
        self.server = mlflow
        self.processes = processes
        self.folder = folder
        self.settings = Settings(
            home=folder / "first",
            mlflow_tracking_uri=address or mlflow.address,
            registered_model=name,
            experiment=name,
            optuna_storage=studies,
            data=str(toy_movielens(folder / "data")),
            train_threads=1,
        )
        #: Artifacts that each (stage, machine) downloaded.
        self.fetched: dict[tuple[str, str], list[str]] = {}
        self.plan: dict[str, Any] = {}

    def at(self, machine: str) -> Settings:
        """Return the settings of a machine, which has a home of its own."""
        return self.settings.model_copy(update={"home": self.folder / machine})

    def start(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Job:
        """Start a stage. The arguments go through JSON, as between Airflow's tasks."""
        inputs = json.loads(json.dumps(arguments))
        return self.processes.start(
            getattr(retrain, stage), *inputs, settings=self.at(machine), **options
        )

    def run(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Any:
        """Run a stage to its end and return its result, which goes through JSON."""
        job = self.start(machine, stage, *arguments, **options)
        result = json.loads(json.dumps(job.result()))
        self.fetched[stage, machine] = job.fetched
        return result

    def killed(self, machine: str, stage: str, *arguments: Any, **options: Any) -> None:
        """Run a stage that kills itself; ``changed`` says where."""
        with pytest.raises(RuntimeError, match="was killed: -9"):
            self.start(machine, stage, *arguments, **options).result()

    def prepare(self, machine: str) -> dict[str, Any]:
        """Run the stage ``prepare`` and keep its plan."""
        self.plan = self.run(machine, "prepare", self.config, key=self.settings.experiment)
        return self.plan

    def tune(self, *machines: str) -> list[dict[str, Any]]:
        """Run all tuning workers at once, one on each machine."""
        jobs = [
            self.start(machine, "tune", self.plan, task["family"], task["worker"])
            for task, machine in zip(self.plan["work"], machines, strict=True)
        ]
        results = [job.result() for job in jobs]
        for job, machine in zip(jobs, machines, strict=True):
            self.fetched["tune", machine] = job.fetched
        return results

    def parts(self) -> set[str]:
        """Return the names of the artifacts that the parent run holds for the next stages."""
        return set(RunArtifacts(self.settings.mlflow_tracking_uri, self.plan["run_id"]).list())

    def listed(self) -> list[dict[str, Any]]:
        """Return all runs of the experiment, as MLflow lists them."""
        api = f"{self.server.address}/api/2.0/mlflow"
        answer = httpx.get(
            f"{api}/experiments/get-by-name", params={"experiment_name": self.settings.experiment}
        ).json()
        body = {"experiment_ids": [answer["experiment"]["experiment_id"]], "max_results": 1000}
        runs: list[dict[str, Any]] = httpx.post(f"{api}/runs/search", json=body).json()["runs"]
        return runs

    def models(self) -> list[dict[str, Any]]:
        """Return all uploaded models, registered or not."""
        api = f"{self.server.address}/api/2.0/mlflow"
        body = {"experiment_ids": [self.listed()[0]["info"]["experiment_id"]]}
        answer = httpx.post(f"{api}/logged-models/search", json=body).raise_for_status().json()
        models: list[dict[str, Any]] = answer.get("models", [])
        return models


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags of a run of MLflow's API."""
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def by_id(candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort candidates by the id of their recipe."""
    return sorted(candidates, key=lambda candidate: str(candidate["recipe"]["id"]))
