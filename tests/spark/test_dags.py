"""With the engine `spark` the DAGs submit Spark jobs, and run to the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.dvc_checkout import ROOT
from tests.fixtures import toy_bundle, toy_movielens
from tests.orchestration.run_dags import MARK
from tests.registry_fixtures import register
from tests.servers import Server
from tests.spark.standalone import Cluster

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1200)]
DAGS, SCRIPTS = ROOT / "dags", ROOT / "tests" / "orchestration"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path, spark_cluster: Cluster) -> Run:
    """Runs a Python program with the environment of an Airflow worker."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "MOOVIER"))
    }
    variables |= {
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "MOOVIER_HOME": str(tmp_path / "home"),
        "MOOVIER_ENGINE": "spark",
        "MOOVIER_SPARK_MASTER": spark_cluster.url,
        "PYTHONPATH": str(ROOT),
    }

    def program(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**variables, **more},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    return program


def parsed_tasks(run: Run, **variables: str) -> dict[str, Any]:
    """Return the tasks of each DAG as Airflow parses them."""
    facts = json.loads(
        run(str(SCRIPTS / "parse_dags.py"), str(DAGS), **variables).stdout.splitlines()[-1]
    )
    assert facts["errors"] == {}
    return {name: dag["tasks"] for name, dag in facts["dags"].items()}


@pytest.mark.parametrize("master", ["spark://127.0.0.1:1", "k8s://https://h:1", "sc://127.0.0.1:1"])
def test_cluster_tasks_take_their_place_in_the_dags(run: Run, master: str) -> None:
    dags = parsed_tasks(run, MOOVIER_SPARK_MASTER=master)
    assert set(dags["moovier_batch"]) == {"prepare", "write_on_cluster", "publish"}
    assert dags["moovier_batch"]["write_on_cluster"]["downstream"] == ["publish"]
    assert dags["moovier_ingest"]["pull"]["downstream"] == ["sort_on_cluster", "validate"]
    assert dags["moovier_ingest"]["sort_on_cluster"]["downstream"] == ["validate"]
    for name in ("write_on_cluster", "sort_on_cluster"):
        dag = "moovier_batch" if name == "write_on_cluster" else "moovier_ingest"
        assert dags[dag][name]["pool"] == "moovier"
        assert dags[dag][name]["doc_md"]


def test_dags_run_on_the_cluster(run: Run, tmp_path: Path, mlflow: Server) -> None:
    data = toy_movielens(tmp_path / "data")
    settings = Settings(
        home=tmp_path / "home",
        mlflow_tracking_uri=mlflow.address,
        registered_model=f"spark-{uuid.uuid4().hex[:8]}",
    )
    version = register(settings, tmp_path / "models", toy_bundle())
    open_registry(settings).promote(version, "the only one")
    run("-m", "airflow", "db", "migrate")
    cases = [
        {"dag": "moovier_ingest", "conf": {}, "marked": None},
        {"dag": "moovier_batch", "conf": {"top_k": 3, "shards": 2}, "marked": None},
    ]
    done = run(
        str(SCRIPTS / "run_dags.py"),
        str(DAGS),
        json.dumps(cases),
        MOOVIER_DATA=str(data),
        MLFLOW_TRACKING_URI=mlflow.address,
        MOOVIER_REGISTERED_MODEL=settings.registered_model,
    )
    states = [
        json.loads(line.removeprefix(MARK))
        for line in done.stdout.splitlines()
        if line.startswith(MARK)
    ]
    assert states == [
        {"pull": "success", "sort_on_cluster": "success", "validate": "success"},
        {"prepare": "success", "write_on_cluster": "success", "publish": "success"},
    ], done.stdout[-5000:]
    assert list(settings.path("spark", "histories").glob("*/manifest.json"))
    assert settings.path("lists", f"{version.name}-v1", "_SUCCESS").exists()
