"""One retraining whose stages run in processes and homes of their own, as on several machines."""

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
from tests.worker_processes import Job, Machines

CONFIG = {"families": [RANKING], "trials": 3, "workers": 2}


class Retraining:
    """One retraining of a registered model of its own; every stage on the machine it is told."""

    def __init__(
        self,
        mlflow: Server,
        studies: str | None,
        folder: Path,
        started: Machines,
        *,
        address: str | None = None,
    ) -> None:
        """``address``: the one that stages use, where it is not the server's own."""
        own = f"moovier-{uuid.uuid4().hex[:8]}"
        self.server = mlflow
        self.started = started
        self.folder = folder
        self.settings = Settings(
            home=folder / "first",
            mlflow_tracking_uri=address or mlflow.address,
            registered_model=own,
            experiment=own,
            optuna_storage=studies,
            data=str(toy_movielens(folder / "data")),
            train_threads=1,
        )
        #: Stage and machine: the artefacts that it downloaded.
        self.fetched: dict[tuple[str, str], list[str]] = {}
        self.plan: dict[str, Any] = {}

    def at(self, machine: str) -> Settings:
        return self.settings.model_copy(update={"home": self.folder / machine})

    def start(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Job:
        """One stage; what goes in is JSON, as between Airflow's tasks."""
        given = json.loads(json.dumps(arguments))
        return self.started.start(
            getattr(retrain, stage), *given, settings=self.at(machine), **options
        )

    def run(self, machine: str, stage: str, *arguments: Any, **options: Any) -> Any:
        """One stage to its end; what it returns, as JSON."""
        job = self.start(machine, stage, *arguments, **options)
        result = json.loads(json.dumps(job.result()))
        self.fetched[stage, machine] = job.fetched
        return result

    def killed(self, machine: str, stage: str, *arguments: Any, **options: Any) -> None:
        """One stage that kills itself; ``changed`` says where."""
        with pytest.raises(RuntimeError, match="was killed: -9"):
            self.start(machine, stage, *arguments, **options).result()

    def prepare(self, machine: str) -> dict[str, Any]:
        self.plan = self.run(machine, "prepare", CONFIG, key=self.settings.experiment)
        return self.plan

    def tune(self, *where: str) -> list[dict[str, Any]]:
        """All workers at once, each on its machine."""
        jobs = [
            self.start(machine, "tune", self.plan, work["family"], work["worker"])
            for work, machine in zip(self.plan["work"], where, strict=True)
        ]
        found = [job.result() for job in jobs]
        for job, machine in zip(jobs, where, strict=True):
            self.fetched["tune", machine] = job.fetched
        return found

    def parts(self) -> set[str]:
        """What the parent run hands on at the moment."""
        return set(RunArtifacts(self.settings.mlflow_tracking_uri, self.plan["run_id"]).list())

    def listed(self) -> list[dict[str, Any]]:
        """All runs, as MLflow itself lists them."""
        api = f"{self.server.address}/api/2.0/mlflow"
        found = httpx.get(
            f"{api}/experiments/get-by-name", params={"experiment_name": self.settings.experiment}
        ).json()
        body = {"experiment_ids": [found["experiment"]["experiment_id"]], "max_results": 1000}
        runs: list[dict[str, Any]] = httpx.post(f"{api}/runs/search", json=body).json()["runs"]
        return runs

    def models(self) -> list[dict[str, Any]]:
        """All uploaded models, registered or not."""
        api = f"{self.server.address}/api/2.0/mlflow"
        body = {"experiment_ids": [self.listed()[0]["info"]["experiment_id"]]}
        answer = httpx.post(f"{api}/logged-models/search", json=body).raise_for_status().json()
        models: list[dict[str, Any]] = answer.get("models", [])
        return models


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"]["tags"]}


def by_id(trained: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(trained, key=lambda one: str(one["recipe"]["id"]))
