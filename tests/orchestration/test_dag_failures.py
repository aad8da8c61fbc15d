"""Tasks fail at once on errors that no retry can mend, and say what to do.

The DAGs run in Airflow's own ``dag.test()``. A task that is retried would make it wait.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures import toy_movielens
from tests.orchestration.call_tasks import MARK as CALLS_MARK
from tests.orchestration.run_dags import MARK

DAGS = Path(__file__).parents[2] / "dags"
CASES: list[dict[str, Any]] = [
    {"dag": "moovier_ingest", "conf": {}, "marked": "pull"},
    {"dag": "moovier_monitor", "conf": {}, "marked": "check"},
    {"dag": "moovier_batch", "conf": {}, "marked": "prepare"},
    {"dag": "moovier_retrain", "conf": {}, "marked": "prepare"},
    {"dag": "moovier_retrain", "conf": {"data": "ml-latest-smal"}, "marked": None},
    {"dag": "moovier_monitor", "conf": {"data": "ml-latest-smal"}, "marked": None},
    {"dag": "moovier_retrain", "conf": {"families": ["lightgcn"]}, "marked": None},
    {"dag": "moovier_ingest", "conf": {}, "marked": None},
]
#: The champion was trained on the same data.
NOTHING_NEW = {
    "dag": "moovier_retrain",
    "conf": {},
    "marked": None,
    "returns": {"moovier.jobs.retrain.prepare": None},
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[dict[str, str], str]]:
    """The states of the tasks and the log of each case; the data have an invalid row."""
    home = tmp_path_factory.mktemp("airflow")
    data = toy_movielens(home / "data")
    with (data / "ratings.csv").open("a") as ratings:
        ratings.write("1,1,7.5,1000000\n")
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "MOOVIER"))
    }
    environment = {
        **inherited,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "MOOVIER_HOME": str(home / "moovier"),
        "MOOVIER_DATA": str(data),
        # MLflow is away, which must not hide what is wrong.
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
    }
    airflow = Path(sys.executable).with_name("airflow")
    script = Path(__file__).with_name("run_dags.py")
    for command in (
        [str(airflow), "db", "migrate"],
        [sys.executable, str(script), str(DAGS), json.dumps([*CASES, NOTHING_NEW])],
    ):
        done = subprocess.run(
            command, env=environment, cwd=home, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    parts = (done.stdout + "\n").split(f"\n{MARK}")
    logs = [parts[0], *(part.partition("\n")[2] for part in parts[1:])]
    states = [json.loads(part.partition("\n")[0]) for part in parts[1:]]
    return list(zip(states, logs, strict=False))


@pytest.mark.parametrize(
    ("case", "failed", "message"),
    [
        (0, "validate", "the task `pull` has no result"),
        (1, "should_retrain", "the task `check` has no result"),
        (2, "plan_shards", "the task `prepare` has no result"),
        (3, "plan_tuning", "the task `prepare` has no result"),
        (4, "prepare", "unknown data set 'ml-latest-smal'"),
        (5, "check", "unknown data set 'ml-latest-smal'"),
        (6, "prepare", "unknown family lightgcn"),
        (7, "validate", "row 602"),
    ],
)
@pytest.mark.timeout(2000)
def test_permanent_error_fails_the_task_at_once_with_its_message(
    runs: list[tuple[dict[str, str], str]], case: int, failed: str, message: str
) -> None:
    states, log = runs[case]
    assert states[failed] == "failed", states
    assert "up_for_retry" not in states.values()
    assert message in log
    assert "AirflowFailException" in log


def test_retraining_without_new_data_skips_every_task(
    runs: list[tuple[dict[str, str], str]],
) -> None:
    states, _ = runs[len(CASES)]
    assert set(states.values()) == {"skipped"}, states


PLAN = {"families": ["emb", "ease"], "work": []}
#: Task, arguments, and the task whose result is missing.
INCOMPLETE: tuple[tuple[str, list[Any], str], ...] = (
    ("tune", [None, {"family": "emb", "worker": 0}], "prepare"),
    ("tune", [PLAN, None], "plan_tuning"),
    ("train", [None, "emb"], "prepare"),
    ("register", [PLAN, None], "train"),
    ("register", [PLAN, [[], None]], "train"),
    ("register", [PLAN, [[]]], "train"),
    ("gate", [PLAN, None], "register"),
    ("promote", [PLAN, None], "gate"),
    ("promote", [None, {}], "prepare"),
)
#: Task, its arguments from before an update, the task that returned them, and what they lack.
STALE: tuple[tuple[str, list[Any], str, str], ...] = (
    ("register", [{"key": "k"}, [[]]], "prepare", "families"),
    ("promote", [PLAN, {"promote": True}], "gate", "reasons"),
)
#: Error, its text, and whether Airflow retries the task.
ERRORS = (
    ("BadRequest", "trials must be positive", False),
    ("UnknownData", "unknown data set 'x'", False),
    ("UnknownModel", "x", False),
    ("SettingsError", "MOOVIER_SEED is too large", False),
    ("HashMismatch", "damaged", False),
    ("RegistryError", "MLflow refused the login", False),
    ("InvalidData", "invalid", False),
    ("DataUnavailable", "GroupLens is down", True),
    ("RegistryUnavailable", "MLflow is down", True),
    ("FeedbackUnavailable", "Postgres is down", True),
)


@pytest.fixture(scope="module")
def caught(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str] | None]:
    """Type and text of the exception of each call: INCOMPLETE, STALE, then ERRORS."""
    calls = [
        {"task": task, "arguments": arguments} for task, arguments, *_ in (*INCOMPLETE, *STALE)
    ]
    raising = [{"error": [name, text]} for name, text, _ in ERRORS]
    home = tmp_path_factory.mktemp("calls")
    environment = {**os.environ, "AIRFLOW_HOME": str(home), "MOOVIER_HOME": str(home / "moovier")}
    done = subprocess.run(
        [
            sys.executable,
            str(Path(__file__).with_name("call_tasks.py")),
            str(DAGS),
            json.dumps([*calls, *raising]),
        ],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = next(line for line in done.stdout.splitlines() if line.startswith(CALLS_MARK))
    return [tuple(result) for result in json.loads(results.removeprefix(CALLS_MARK))]


@pytest.mark.parametrize("case", range(len(INCOMPLETE)), ids=lambda case: INCOMPLETE[case][0])
def test_task_without_its_input_names_the_task_to_clear(
    caught: list[tuple[str, str]], case: int
) -> None:
    name, text = caught[case]
    assert name == "AirflowFailException"
    assert re.search(f"`{INCOMPLETE[case][2]}` has no result.*clear", text)


@pytest.mark.parametrize("case", range(len(STALE)), ids=lambda case: STALE[case][0])
def test_result_from_before_an_update_asks_for_a_new_run(
    caught: list[tuple[str, str]], case: int
) -> None:
    _, _, source, missing = STALE[case]
    name, text = caught[len(INCOMPLETE) + case]
    assert name == "AirflowFailException"
    assert re.search(f"`{source}` .*another version.*missing: {missing}.*start a new run", text)


@pytest.mark.parametrize("case", range(len(ERRORS)), ids=lambda case: ERRORS[case][0])
def test_only_outages_are_retried(caught: list[tuple[str, str]], case: int) -> None:
    error, message, is_retried = ERRORS[case]
    name, text = caught[len(INCOMPLETE) + len(STALE) + case]
    assert name == (error if is_retried else "AirflowFailException")
    assert message in text
