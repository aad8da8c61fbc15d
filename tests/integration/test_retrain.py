"""A retraining as people run it: `moovier train` as a process, against a real MLflow."""

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


class Stage:
    """One home, one registered model, one data set."""

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
        """Paths of what the parent run keeps in ``folder``."""
        (parent,) = [run for run in self.runs() if tags(run)["part"] == "retraining"]
        answer = httpx.get(
            f"{self.mlflow.address}/api/2.0/mlflow/artifacts/list",
            params={"run_id": parent["info"]["run_id"], "path": folder},
            trust_env=False,
            timeout=10,
        )
        return [file["path"] for file in answer.raise_for_status().json()["files"]]

    def runs(self) -> list[dict[str, Any]]:
        """Every run of the experiment, as MLflow's API lists them."""
        api = f"{self.mlflow.address}/api/2.0/mlflow"
        name = {"experiment_name": self.settings.experiment}
        found = httpx.get(f"{api}/experiments/get-by-name", params=name)
        if found.is_error:
            return []
        body = {"experiment_ids": [found.json()["experiment"]["experiment_id"]]}
        listed = httpx.post(f"{api}/runs/search", json=body).raise_for_status().json()
        runs: list[dict[str, Any]] = listed.get("runs", [])
        return runs

    def models(self) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.run("models", "--json").stdout)
        return listed

    def killed_when(self, words: list[str], moment: Callable[[], bool]) -> bool:
        """Start a command and kill all of it with SIGKILL at ``moment``; False if it ended."""
        process = subprocess.Popen(
            [sys.executable, "-m", "moovier", *words],
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while process.poll() is None:
                if moment():
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
                    return True
                time.sleep(0.02)
            return False
        finally:
            end_group(process)


@pytest.fixture
def stage(mlflow: Server, tmp_path: Path) -> Stage:
    return Stage(mlflow, tmp_path)


def tags(run: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["data"].get("tags", [])}


def assert_whole(stage: Stage, candidates: set[str]) -> None:
    """What must hold after a finished retraining, however often it was killed before."""
    registry = open_registry(stage.settings)
    versions = registry.versions()
    keys = Counter(version.tags["key"] for version in versions)
    assert set(keys.values()) == {1}
    assert {version.tags["candidate"] for version in versions} == candidates
    champion = registry.resolve("champion")
    assert champion.family == RANKING
    assert champion.tags["gate"] == "promoted"
    assert "popularity" in champion.tags["gate_reasons"]
    assert registry.alias("challenger") is None
    model = registry.load_bundle(champion, stage.settings.path("check"))
    assert model.card.data.ratings == 600

    runs = stage.runs()
    parts = Counter((tags(run)["retraining"], tags(run)["part"]) for run in runs)
    assert set(parts.values()) == {1}
    (parent,) = [run for run in runs if tags(run)["part"] == "retraining"]
    children = [run for run in runs if run is not parent]
    assert {tags(run)["mlflow.parentRunId"] for run in children} == {parent["info"]["run_id"]}
    assert "RUNNING" not in {run["info"]["status"] for run in runs}


def test_train_ends_with_a_champion_and_its_names(stage: Stage) -> None:
    families = [word for name in ("emb", "taste", RANKING) for word in ("--family", name)]
    trained = stage.run(*stage.train("--embedding-size", "4", "--trials", "2", *families))
    assert trained.returncode == 0, trained.stderr
    assert f"champion: moovier_{RANKING}" in trained.stdout
    rating = {"emb-3", "emb-4", "emb-tuned", "taste-tuned"}
    assert_whole(stage, rating | RANKED)
    stars = open_registry(stage.settings).resolve("stars")
    assert stars.tags["candidate"] in rating
    assert f"RMSE {stars.metrics['rmse']:.4f}" in stars.tags["gate_reasons"]
    assert "report/report.html" in stage.artefacts("report")
    names = [one["name"] for one in stage.models()]
    assert {"moovier_emb_3_trained_0", "moovier_emb_4_trained_0"} <= set(names)
    table = stage.run("models").stdout
    assert max(map(len, table.splitlines())) <= 80
    assert "champion" in table

    target = stage.settings.path("list.csv")
    words = ["recommend", "--user", "1", "--user", "999", "--top-k", "3", "--csv", str(target)]
    shown = stage.run(*words).stdout
    assert "user 999 is unknown; showing popular movies" in shown
    assert max(map(len, shown.splitlines())) <= 80
    found = json.loads(stage.run("recommend", "--user", "1", "--top-k", "3", "--json").stdout)
    rows = [row.split(",") for row in target.read_text().splitlines()]
    assert [int(row[2]) for row in rows if row[0] == "1"] == [
        item["id"] for item in found["answers"][0]["items"]
    ]
    assert len(rows) == 1 + 2 * 3


def test_a_training_killed_again_and_again_is_finished_by_running_it_again(stage: Stage) -> None:
    home = stage.settings.home
    registry = open_registry(stage.settings)
    command = stage.train("--family", RANKING, "--trials", "2")
    moments: dict[str, Callable[[], bool]] = {
        "first trial": lambda: any("-trial-" in tags(run)["part"] for run in stage.runs()),
        "first candidate": lambda: any(
            home.glob("retrain/*/candidates/[!.]*/model/candidate.json")
        ),
        "decision": lambda: any(home.glob("retrain/*/decision.json")),
        "champion": lambda: registry.alias("champion") is not None,
    }
    killed = [name for name, moment in moments.items() if stage.killed_when(command, moment)]
    assert {"first trial", "first candidate"} <= set(killed)
    again = stage.run(*command)
    assert again.returncode == 0, again.stderr
    assert_whole(stage, RANKED)
    assert len(list(home.glob("retrain/*"))) == 1
    trials = [run for run in stage.runs() if "-trial-" in tags(run)["part"]]
    assert len(trials) == 2


def test_new_ratings_bring_the_champions_recipe_into_the_comparison(stage: Stage) -> None:
    registry = open_registry(stage.settings)

    decisions: list[dict[str, Any]] = []

    def retrained(family: str, seed: int) -> Version:
        config = {"data": str(stage.data), "families": [family], "trials": 1, "seed": seed}
        config |= {"embedding_sizes": [3], "workers": 1}
        said = retrain_all(config, lambda _text: None, settings=stage.settings)
        decisions.append(said)
        return registry.resolve(str(said["version"]))

    first = retrained(RANKING, 1)
    assert (first.aliases, first.tags["gate"]) == (("champion",), "promoted")
    toy_movielens(stage.data, seed=1)
    rater = retrained("emb", 1)
    assert not decisions[-1]["promote"]
    assert decisions[-1]["reasons"] == [
        f"kept: {rater.name} predicts stars; a champion is a model that ranks"
    ]
    assert registry.resolve("champion").number == first.number

    winner = retrained(RANKING, 2)
    assert (winner.aliases, winner.tags["gate"]) == (("champion",), "promoted")
    # The recipe of the champion is a candidate, under its own id unless it is the default one.
    trained = registry.find(data_hash=winner.tags["data_hash"])
    assert first.tags["params"] in {version.tags["params"] for version in trained}
    assert any(f"of {first.name} trained on the same" in line for line in decisions[-1]["reasons"])
    assert registry.rollback("to see").number == first.number


def test_what_goes_wrong_is_one_message_and_no_traceback(stage: Stage) -> None:
    (stage.data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,9.5,100\n")
    refused = stage.run("train", "--data", str(stage.data))
    assert refused.returncode == 1
    assert "ratings.csv" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert open_registry(stage.settings).names() == []
    stage.environment["MLFLOW_TRACKING_URI"] = f"http://127.0.0.1:{free_port()}"
    for command in (["models"], ["recommend", "--user", "1"], ["train", "--data", str(stage.data)]):
        refused = stage.run(*command)
        assert refused.returncode == 1
        assert "moovier up" in refused.stderr
        assert "Traceback" not in refused.stderr
