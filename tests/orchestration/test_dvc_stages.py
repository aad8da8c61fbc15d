"""`dvc repro`, `dvc metrics`, `dvc plots` and `dvc exp run` in a Git checkout, without Airflow."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.dvc_checkout import ROOT, new_project
from tests.servers import Server

pytestmark = [pytest.mark.tools, pytest.mark.timeout(1800)]
PARAMS = """data: sample
trials: 1
families: [ease]
embedding_sizes: []
seed: 0
"""


@dataclass(frozen=True)
class Checkout:
    """A Git checkout with DVC stages, small parameters and a home of its own."""

    folder: Path
    variables: dict[str, str]

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
        return done.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run(sys.executable, "-m", "dvc", *arguments)

    def json(self, name: str) -> Any:
        return json.loads((self.folder / "pipeline" / name).read_text())


@pytest.fixture(scope="module")
def checkout(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    folder = new_project(tmp_path_factory.mktemp("dvc") / "checkout")
    for name in ("dvc.yaml", ".dvcignore", ".gitignore", ".dvc/.gitignore", "pipeline/.gitignore"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "params.yaml").write_text(PARAMS)
    variables = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "MOOVIER_HOME": str(folder / ".moovier"),
        "MOOVIER_PROJECT": str(folder),
        "MOOVIER_EXPERIMENT": "dvc-stages",
        "MOOVIER_REGISTERED_MODEL": "dvc-stages",
        "MLFLOW_TRACKING_URI": mlflow.address,
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
    }
    checkout = Checkout(folder, variables)
    checkout.run("git", "init", "--quiet")
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "start")
    checkout.dvc("repro")
    assert checkout.run("git", "status", "--short").split() == ["??", "dvc.lock"]
    checkout.run("git", "add", "dvc.lock")
    checkout.run("git", "commit", "--quiet", "--message", "first result")
    return checkout


def test_metrics_and_plots_are_shown(checkout: Checkout) -> None:
    shown = json.loads(checkout.dvc("metrics", "show", "--json"))
    metrics = shown[""]["data"]["pipeline/metrics.json"]["data"]
    models = metrics["models"]
    assert metrics["best"].items() >= models["ease-tuned"].items()
    assert models["ease-tuned"]["visitor_ndcg_at_10"] > models["popularity"]["visitor_ndcg_at_10"]
    page = checkout.dvc("plots", "show", "--out", "plots-page").strip()
    content = Path(page.removeprefix("file://")).read_text()
    for plot in ("trials_csv", "models_csv", "visitor_csv"):
        assert f"pipeline_{plot}" in content
    shutil.rmtree(checkout.folder / "plots-page")


def test_second_repro_trains_nothing(checkout: Checkout) -> None:
    output = checkout.dvc("repro")
    assert "moovier stage ingest" in output
    for stage in ("tune", "train", "evaluate"):
        assert f"Stage '{stage}' didn't change, skipping" in output


def test_experiment_changes_a_parameter_and_shows_the_difference(checkout: Checkout) -> None:
    checkout.dvc("exp", "run", "-S", "trials=2", "--name", "two-trials")
    with (checkout.folder / "pipeline" / "trials.csv").open() as file:
        assert [row["trial"] for row in csv.DictReader(file)] == ["0", "1"]
    params = json.loads(checkout.dvc("params", "diff", "--json"))
    assert params["params.yaml"]["trials"] == {"old": 1, "new": 2, "diff": 1}
    # With `--all`, since the second trial need not be better.
    compared = json.loads(checkout.dvc("metrics", "diff", "--all", "--json"))
    ndcg = compared["pipeline/metrics.json"]["best.visitor_ndcg_at_10"]
    assert ndcg["new"] == checkout.json("metrics.json")["best"]["visitor_ndcg_at_10"]
    assert ndcg["diff"] == pytest.approx(ndcg["new"] - ndcg["old"])
    assert "two-trials" in checkout.dvc("exp", "list")


def test_promotion_is_a_command_of_its_own(checkout: Checkout) -> None:
    plan = checkout.json("plan.json")
    assert not (checkout.folder / ".moovier" / "retrain" / plan["key"] / "done.json").exists()
    promoted = checkout.run("moovier", "stage", "promote")
    assert "champion: moovier_ease" in promoted
