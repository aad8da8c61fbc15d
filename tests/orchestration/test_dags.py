"""The DAG files, parsed by Airflow in a separate process without a database."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from moovier.errors import BadRequest
from moovier.jobs.retrain_plan import RetrainConfig

DAGS = Path(__file__).parents[2] / "dags"
HEAVY = {"tensorflow", "keras", "mlflow", "optuna", "pandas", "dvc", "bentoml", "sklearn"}


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The facts of ``dags/`` as Airflow parses them."""
    home = tmp_path_factory.mktemp("airflow")
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")
    }
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("parse_dags.py")), str(DAGS)],
        env={
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # A connection at parse time fails on these addresses.
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://nobody@127.0.0.1:1/none",
            "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
        },
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def test_all_dags_parse(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {
        "moovier_batch",
        "moovier_ingest",
        "moovier_monitor",
        "moovier_retrain",
    }


def test_parsing_imports_no_heavy_module(parsed: dict[str, Any]) -> None:
    assert HEAVY.isdisjoint(parsed["modules"])
    assert parsed["moovier"] == []


def test_ingest_emits_the_asset_that_retrain_waits_for(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["moovier_ingest"]["tasks"]
    assert tasks["pull"]["downstream"] == ["validate"]
    assert tasks["pull"]["outlets"] == []
    assert tasks["validate"]["outlets"] == ["moovier_ratings"]
    retrain = parsed["dags"]["moovier_retrain"]
    assert retrain["schedule"] == "AssetOrTimeSchedule"
    assert retrain["asset"] == "moovier_ratings"


def test_each_dag_emits_its_asset(parsed: dict[str, Any]) -> None:
    outlets = {
        f"{dag_id}.{name}": task["outlets"]
        for dag_id, dag in parsed["dags"].items()
        for name, task in dag["tasks"].items()
        if task["outlets"]
    }
    assert outlets == {
        "moovier_ingest.validate": ["moovier_ratings"],
        "moovier_retrain.emit_champion": ["moovier_champion"],
        "moovier_batch.publish": ["moovier_lists"],
        "moovier_monitor.check": ["moovier_monitoring_report"],
    }


def test_retraining_tasks_run_in_order(parsed: dict[str, Any]) -> None:
    tasks = parsed["dags"]["moovier_retrain"]["tasks"]
    order = ["prepare", "plan_tuning", "tune", "train", "register", "gate", "promote"]
    assert set(tasks) == {*order, "needs_approval", "approve", "emit_champion"}
    for before, after in itertools.pairwise(order):
        assert after in tasks[before]["downstream"], f"{after} does not wait for {before}"
    for before, after in itertools.pairwise(("gate", "needs_approval", "approve", "promote")):
        assert after in tasks[before]["downstream"], f"{after} does not wait for {before}"
    assert [name for name in order if tasks[name]["mapped"]] == ["tune", "train"]


def test_lists_are_published_after_every_shard_is_written(parsed: dict[str, Any]) -> None:
    dag = parsed["dags"]["moovier_batch"]
    assert set(dag["tasks"]) == {"prepare", "plan_shards", "write", "publish"}
    assert dag["tasks"]["prepare"]["downstream"] == ["plan_shards", "publish", "write"]
    assert dag["tasks"]["plan_shards"]["downstream"] == ["write"]
    assert dag["tasks"]["write"]["downstream"] == ["publish"]
    assert [name for name, task in dag["tasks"].items() if task["mapped"]] == ["write"]
    assert dag["schedule"] == "NullTimetable"


def test_batch_form_accepts_the_same_values_as_the_job(parsed: dict[str, Any]) -> None:
    from moovier.errors import BadRequest
    from moovier.jobs import batch

    params = parsed["dags"]["moovier_batch"]["params"]
    assert batch.configured(**{name: param["value"] for name, param in params.items()}) == (
        batch.configured()
    )
    cases: list[tuple[str, list[Any], list[Any]]] = [
        ("top_k", [1, 1000], [0, 1001, "ten"]),
        ("shards", [1, 256], [0, 257]),
        ("model", [None, "champion"], [3]),
    ]
    for name, good, bad in cases:
        for value in good:
            jsonschema.validate(value, params[name])
            batch.configured(**{name: value})
        for value in bad:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(value, params[name])
            with pytest.raises(BadRequest):
                batch.configured(**{name: value})


def test_retries_outlast_an_outage_of_five_minutes(parsed: dict[str, Any]) -> None:
    for dag in parsed["dags"].values():
        for name, task in dag["tasks"].items():
            waits = [
                min(task["retry_delay_s"] * task["backoff"] ** attempt, task["max_retry_delay_s"])
                for attempt in range(task["retries"])
            ]
            # Airflow waits at least this long before each attempt.
            assert sum(waits) >= 300, name
            assert waits[0] <= 15, name


def test_monitoring_starts_one_retraining_for_the_same_data(parsed: dict[str, Any]) -> None:
    dag = parsed["dags"]["moovier_monitor"]
    tasks = dag["tasks"]
    order = ["check", "should_retrain", "trigger_retraining", "record_alarm"]
    assert set(tasks) == set(order)
    for before, after in itertools.pairwise(order):
        assert after in tasks[before]["downstream"], f"{after} does not wait for {before}"
    triggered = tasks["trigger_retraining"]["starts"]
    assert triggered["dag"] == "moovier_retrain"
    # The run id contains the data, and Airflow refuses a second run with the same id.
    assert triggered["again"] == "skips"
    assert "trigger_key" in triggered["run_id"]
    assert "retraining" in triggered["conf"]


def test_every_task_has_retries_a_pool_and_a_description(parsed: dict[str, Any]) -> None:
    for dag_id, dag in parsed["dags"].items():
        assert dag["doc_md"].strip(), dag_id
        assert dag["catchup"] is False
        assert dag["max_active_runs"] == 1
        for name, task in dag["tasks"].items():
            assert task["retries"] >= 1, name
            assert task["backoff"] > 1, name
            assert task["pool"] == "moovier", name
            assert task["doc_md"], name


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("data", ["sample", None, "/data/ml-25m"], [3]),
        ("trials", [1, None], [0, -1, 1.5, "ten"]),
        ("families", [["emb"], ["emb", "ease"], None], [[], "emb", [1]]),
        ("embedding_sizes", [[10], []], [[0], [1025], [10] * 21, ["ten"], 10]),
        ("seed", [0, 2**32 - 1, None], [-1, 2**32, "x"]),
        ("workers", [1, None], [0, 1000]),
        ("reason", ["monitoring: ratings", None], [3, "x" * 5000]),
        ("approval", [True, False, None], [2, "maybe"]),
    ],
)
def test_retraining_form_rejects_invalid_values(
    parsed: dict[str, Any], name: str, good: list[Any], bad: list[Any]
) -> None:
    param = parsed["dags"]["moovier_retrain"]["params"][name]
    assert param["title"]
    assert param["description"]
    for value in [*good, param["value"]]:
        jsonschema.validate(value, param)
    for value in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(value, param)
        with pytest.raises(BadRequest):
            RetrainConfig.of({name: value})


def test_retraining_form_has_the_fields_and_defaults_of_the_job(parsed: dict[str, Any]) -> None:
    from moovier.jobs.retrain_plan import RetrainConfig

    params = parsed["dags"]["moovier_retrain"]["params"]
    config = RetrainConfig.model_validate({name: param["value"] for name, param in params.items()})
    assert config == RetrainConfig()
    # A manual run always trains, so the form has no field `force`.
    assert set(params) == set(RetrainConfig.model_fields) - {"force"}


def test_monitoring_form_has_the_fields_and_defaults_of_the_job(parsed: dict[str, Any]) -> None:
    from moovier.jobs.monitor import MonitorConfig

    params = parsed["dags"]["moovier_monitor"]["params"]
    values = {name: param["value"] for name, param in params.items()}
    assert MonitorConfig.model_validate(values) == MonitorConfig()
    assert set(params) == set(MonitorConfig.model_fields)
    for name, bad in (("significance", [0, 1.5, "x"]), ("ratings", [0, -1]), ("act", ["yes"])):
        for value in bad:
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate(value, params[name])


def test_linter_rejects_a_heavy_import_in_a_dag_file(tmp_path: Path) -> None:
    code = "import tensorflow\n\nprint(tensorflow)\n"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", str(DAGS / "some.py"), "-"],
        input=code,
        capture_output=True,
        text=True,
        check=False,
        cwd=DAGS.parent,
    )
    assert "TID253" in done.stdout
