"""`moovier train` runs as a process against a real MLflow."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.jobs.registration import open_registry
from moovier.jobs.retrain import retrain_all
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.fixtures import RANKING, toy_movielens
from tests.servers import Server, end_group, free_port

RANKED = {f"{RANKING}-tuned"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


class Workspace:
    """A home, a registered model and a data set."""

    def __init__(self, mlflow: Server, folder: Path) -> None:
        own = f"moovier-{uuid.uuid4().hex[:8]}"
        self.mlflow = mlflow
        self.data = toy_movielens(folder / "data")
        self.settings = Settings(
            home=folder / "home",
            mlflow_tracking_uri=mlflow.address,
            registered_model=own,
            experiment=own,
        )
        self.environment = {
            **os.environ,
            "MOOVIER_HOME": str(folder / "home"),
            "MLFLOW_TRACKING_URI": mlflow.address,
            "MOOVIER_REGISTERED_MODEL": own,
            "MOOVIER_EXPERIMENT": own,
            "COLUMNS": "80",
        }

    def train(self, *more: str) -> list[str]:
        return ["train", "--data", str(self.data), "--embedding-size", "3", *more]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "moovier", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )

    def artefacts(self, folder: str) -> list[str]:
        """Return the paths of the parent run's artefacts in ``folder``."""
        (parent,) = [run for run in self.runs() if tags(run)["part"] == "retraining"]
        answer = httpx.get(
            f"{self.mlflow.address}/api/2.0/mlflow/artifacts/list",
            params={"run_id": parent["info"]["run_id"], "path": folder},
            trust_env=False,
            timeout=10,
        )
        return [file["path"] for file in answer.raise_for_status().json()["files"]]

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs of the experiment, as MLflow's API lists them."""
        api = f"{self.mlflow.address}/api/2.0/mlflow"
        name = {"experiment_name": self.settings.experiment}
        answer = httpx.get(f"{api}/experiments/get-by-name", params=name)
        if answer.is_error:
            return []
        body = {"experiment_ids": [answer.json()["experiment"]["experiment_id"]]}
        listed = httpx.post(f"{api}/runs/search", json=body).raise_for_status().json()
        runs: list[dict[str, Any]] = listed.get("runs", [])
        return runs

    def models(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.run("models", "--json").stdout)
        return listed

    def kill_when(self, words: list[str], condition: Callable[[], bool]) -> bool:
        """Start a command and kill its processes on ``condition``; return False if it ended."""
        process = subprocess.Popen(
            [sys.executable, "-m", "moovier", *words],
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while process.poll() is None:
                if condition():
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return True
                time.sleep(0.02)
            return False
        finally:
            end_group(process)


@pytest.fixture
def workspace(mlflow: Server, tmp_path: Path) -> Workspace:
    return Workspace(mlflow, tmp_path)


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def assert_complete(workspace: Workspace, candidates: set[str]) -> None:
    """Assert that a finished retraining is complete and has no duplicates."""
    registry = open_registry(workspace.settings)
    versions = registry.versions()
    keys = Counter(version.tags["key"] for version in versions)
    assert set(keys.values()) == {1}
    assert {version.tags["candidate"] for version in versions} == candidates
    champion = registry.resolve("champion")
    assert champion.family == RANKING
    assert champion.tags["gate"] == "promoted"
    assert "popularity" in str(champion.gate_reasons)
    assert registry.alias("challenger") is None
    model = registry.load_bundle(champion, workspace.settings.path("check"))
    assert model.card.data.ratings == 600

    runs = workspace.runs()
    parts = Counter((tags(run)["retraining"], tags(run)["part"]) for run in runs)
    assert set(parts.values()) == {1}
    (parent,) = [run for run in runs if tags(run)["part"] == "retraining"]
    children = [run for run in runs if run is not parent]
    assert {tags(run)["mlflow.parentRunId"] for run in children} == {parent["info"]["run_id"]}
    assert "RUNNING" not in {run["info"]["status"] for run in runs}


def test_train_registers_all_models_and_a_champion(workspace: Workspace) -> None:
    families = [word for name in ("emb", "taste", RANKING) for word in ("--family", name)]
    trained = workspace.run(*workspace.train("--embedding-size", "4", "--trials", "2", *families))
    assert trained.returncode == 0, trained.stderr
    assert f"champion: moovier_{RANKING}" in trained.stdout
    rating = {"emb-3", "emb-4", "emb-tuned", "taste-tuned"}
    assert_complete(workspace, rating | RANKED)
    stars = open_registry(workspace.settings).resolve("stars")
    assert stars.tags["candidate"] in rating
    assert f"RMSE {stars.metrics['rmse']:.4f}" in str(stars.gate_reasons)
    assert "report/report.html" in workspace.artefacts("report")
    names = [model["name"] for model in workspace.models()]
    assert {"moovier_emb_3_trained_0", "moovier_emb_4_trained_0"} <= set(names)
    table = workspace.run("models").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "champion" in table

    target = workspace.settings.path("list.csv")
    words = ["recommend", "--user", "1", "--user", "999", "--top-k", "3", "--csv", str(target)]
    shown = workspace.run(*words).stdout
    assert "user 999 is unknown; showing popular movies" in shown
    assert max(map(len, shown.splitlines())) <= 80
    result = json.loads(workspace.run("recommend", "--user", "1", "--top-k", "3", "--json").stdout)
    rows = [row.split(",") for row in target.read_text().splitlines()]
    assert [int(row[2]) for row in rows if row[0] == "1"] == [
        item["id"] for item in result["answers"][0]["items"]
    ]
    assert len(rows) == 1 + 2 * 3


# Killed stages that other processes finish: test_hand_over.py.
@pytest.mark.stack
def test_killed_training_is_finished_by_running_it_again(workspace: Workspace) -> None:
    home = workspace.settings.home
    registry = open_registry(workspace.settings)
    command = workspace.train("--family", RANKING, "--trials", "2")
    conditions: dict[str, Callable[[], bool]] = {
        "first trial": lambda: any("-trial-" in tags(run)["part"] for run in workspace.runs()),
        "first candidate": lambda: any(
            home.glob("retrain/*/candidates/[!.]*/model/candidate.json")
        ),
        "decision": lambda: any(home.glob("retrain/*/decision.json")),
        "champion": lambda: registry.alias("champion") is not None,
    }
    killed = [
        name for name, condition in conditions.items() if workspace.kill_when(command, condition)
    ]
    assert {"first trial", "first candidate"} <= set(killed)
    finished = workspace.run(*command)
    assert finished.returncode == 0, finished.stderr
    assert_complete(workspace, RANKED)
    assert len(list(home.glob("retrain/*"))) == 1
    trials = [run for run in workspace.runs() if "-trial-" in tags(run)["part"]]
    assert len(trials) == 2


def test_champions_recipe_is_trained_on_new_ratings(workspace: Workspace) -> None:
    registry = open_registry(workspace.settings)

    decisions: list[dict[str, Any]] = []

    def retrain(family: str, seed: int) -> Version:
        config = {"data": str(workspace.data), "families": [family], "trials": 1, "seed": seed}
        config |= {"embedding_sizes": [3], "workers": 1}
        decision = retrain_all(config, lambda _text: None, settings=workspace.settings)
        decisions.append(decision)
        return registry.resolve(str(decision["version"]))

    first = retrain(RANKING, 1)
    assert (first.aliases, first.tags["gate"]) == (("champion",), "promoted")
    toy_movielens(workspace.data, seed=1)
    rater = retrain("emb", 1)
    assert not decisions[-1]["promote"]
    assert decisions[-1]["reasons"] == [
        f"kept: {rater.name} predicts stars; a champion is a model that ranks"
    ]
    assert registry.resolve("champion").number == first.number

    winner = retrain(RANKING, 2)
    assert (winner.aliases, winner.tags["gate"]) == (("champion",), "promoted")
    # The champion's recipe is a candidate, with its own id unless it is the default recipe.
    trained = registry.find(data_hash=winner.tags["data_hash"])
    assert first.params in [version.params for version in trained]
    assert any(f"of {first.name} trained on the same" in line for line in decisions[-1]["reasons"])
    assert registry.rollback("to see").number == first.number


def test_errors_are_one_message_without_a_traceback(workspace: Workspace) -> None:
    (workspace.data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,9.5,100\n")
    refused = workspace.run("train", "--data", str(workspace.data))
    assert refused.returncode == 1
    assert "ratings.csv" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert open_registry(workspace.settings).names() == []
    workspace.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    for command in (
        ["models"],
        ["recommend", "--user", "1"],
        ["train", "--data", str(workspace.data)],
    ):
        refused = workspace.run(*command)
        assert refused.returncode == 1
        assert "moovier up" in refused.stderr
        assert "Traceback" not in refused.stderr
