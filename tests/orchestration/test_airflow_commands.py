"""Airflow's own commands and its HTTP API on the stack of `moovier up`.

Commands run in a shell after `eval "$(moovier env)"`, as docs/mlflow-and-airflow.md shows.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from moovier.settings import Settings
from moovier.stack.environment import AIRFLOW_USER, read_secrets
from moovier.stack.services import airflow_url, service_url
from tests.orchestration.local_stack import MOOVIER, NEXT_START_S, STOP_S, environment, moovier

pytestmark = [pytest.mark.stack, pytest.mark.timeout(2400)]

INGEST, RETRAIN = "moovier_ingest", "moovier_retrain"
#: One quick family, so that a retraining takes a minute.
QUICK = {"families": ["ease"], "trials": 1, "embedding_sizes": []}
RUN_S = 600


@dataclass(frozen=True)
class RunningStack:
    """A running stack whose promotions wait for an approval."""

    settings: Settings
    http: httpx.Client

    def shell(self, command: str) -> str:
        """Run a command as a user types it and return its output."""
        done = subprocess.run(
            ["bash", "-euc", f'eval "$({MOOVIER} env)"; {command}'],
            env=environment(self.settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=RUN_S,
        )
        assert done.returncode == 0, f"{command}: {done.stdout[-5000:]}"
        return done.stdout

    def api(self, method: str, path: str, **options: Any) -> Any:
        answer = self.http.request(method, f"/api/v2{path}", **options)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return answer.json()

    def runs(self, dag: str, run_type: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.api(
            "GET", f"/dags/{dag}/dagRuns", params={"run_type": run_type}
        )["dag_runs"]
        return found

    def task_states(self, dag: str, run: str) -> dict[str, str | None]:
        path = f"/dags/{dag}/dagRuns/{run}/taskInstances"
        return {task["task_id"]: task["state"] for task in self.api("GET", path)["task_instances"]}

    def models(self) -> list[dict[str, Any]]:
        models: list[dict[str, Any]] = json.loads(self.shell("moovier models --json"))
        return models

    def model(self, alias: str) -> dict[str, Any]:
        return next(model for model in self.models() if alias in model["aliases"])


@pytest.fixture(scope="module")
def running(stack: Settings) -> Iterator[RunningStack]:
    approval = {"MOOVIER_PROMOTION_APPROVAL": "true"}
    code, output = moovier(stack, "up", timeout_s=NEXT_START_S, variables=approval)
    assert code == 0, output
    try:
        with httpx.Client(base_url=airflow_url(stack), trust_env=False, timeout=60) as http:
            login = {"username": AIRFLOW_USER, "password": read_secrets(stack).airflow_password}
            token = http.post("/auth/token", json=login).json()["access_token"]
            http.headers["Authorization"] = f"Bearer {token}"
            yield RunningStack(stack, http)
    finally:
        moovier(stack, "down", timeout_s=STOP_S)


def await_(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + RUN_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {RUN_S} s"
        time.sleep(1)


def test_dags_test_runs_an_ingest(running: RunningStack) -> None:
    output = running.shell(f"airflow dags test {INGEST}")
    assert "state=success" in output
    assert "Task failed" not in output


def test_tasks_test_runs_one_task(running: RunningStack) -> None:
    output = running.shell(f"airflow tasks test {INGEST} pull")
    data = running.model("champion")["data"]
    assert data["hash"] in output, "the sample is the same each time"
    output = running.shell("airflow tasks test moovier_monitor check")
    assert "No alarm" in output


def test_backfill_of_three_days_ingests_and_trains_nothing(running: RunningStack) -> None:
    champion = running.model("champion")["version"]
    running.shell(
        f"airflow backfill create --dag-id {INGEST} --from-date 2025-03-01 --to-date 2025-03-03"
    )
    await_(
        lambda: [run["state"] for run in running.runs(INGEST, "backfill")] == ["success"] * 3,
        "three runs of the backfill",
    )
    days = sorted(run["logical_date"][:10] for run in running.runs(INGEST, "backfill"))
    assert days == ["2025-03-01", "2025-03-02", "2025-03-03"]
    # Their assets start at least one retraining, which finds the champion's own data.
    after = max(run["end_date"] for run in running.runs(INGEST, "backfill"))

    def retrainings() -> list[dict[str, Any]]:
        runs = running.runs(RETRAIN, "asset_triggered")
        return [run for run in runs if run["queued_at"] >= after]

    await_(
        lambda: bool(retrainings()) and all(run["state"] == "success" for run in retrainings()),
        "a retraining after the backfill",
    )
    for run in retrainings():
        states = running.task_states(RETRAIN, run["dag_run_id"])
        assert set(states.values()) == {"skipped"}, states
    assert running.model("champion")["version"] == champion


def answered_retraining(running: RunningStack, answer: str) -> str:
    """Run a retraining whose approval gets ``answer`` over HTTP; return the run's id."""
    body = {"logical_date": None, "conf": QUICK}
    run: str = running.api("POST", f"/dags/{RETRAIN}/dagRuns", json=body)["dag_run_id"]
    champion = running.model("champion")["version"]
    await_(
        lambda: running.task_states(RETRAIN, run)["approve"] == "awaiting_input",
        "the approval",
    )
    (details,) = running.api("GET", f"/dags/{RETRAIN}/dagRuns/{run}/hitlDetails")["hitl_details"]
    assert details["subject"].startswith("Promote moovier_ease_")
    assert "promoted: not worse than" in details["body"]
    assert running.model("champion")["version"] == champion, "promoted without an approval"
    running.api(
        "PATCH",
        f"/dags/{RETRAIN}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails",
        json={"chosen_options": [answer]},
    )
    await_(
        lambda: running.api("GET", f"/dags/{RETRAIN}/dagRuns/{run}")["state"] == "success",
        "the retraining",
    )
    return run


def test_rejected_promotion_keeps_the_champion_and_approved_one_replaces_it(
    running: RunningStack,
) -> None:
    # Retrainings run one after the other, and one of an earlier test would wait for an approval.
    await_(
        lambda: all(run["state"] != "running" for run in running.runs(RETRAIN, "asset_triggered")),
        "the end of other retrainings",
    )
    # The gate promotes a model that is as good as the champion and knows newer ratings.
    old = next(model["name"] for model in running.models() if model["family"] == "ease")
    running.shell(f"moovier promote {old}")
    champion = running.model("champion")["version"]
    rating = {"user_id": 1_000_001, "ratings": [{"movie_id": 1, "stars": 4.5}]}
    address = f"{service_url(running.settings)}/ratings"
    httpx.post(address, json=rating, trust_env=False, timeout=30).raise_for_status()

    run = answered_retraining(running, "Reject")
    assert running.model("champion")["version"] == champion
    challenger = running.model("challenger")
    assert challenger["family"] == "ease"
    assert challenger["gate"] == "kept"
    assert challenger["gate_reasons"].startswith(f"kept: {AIRFLOW_USER} rejected the promotion")
    assert "rejected the promotion" in running.api("GET", f"/dags/{RETRAIN}/dagRuns/{run}")["note"]
    assert running.task_states(RETRAIN, run)["emit_champion"] == "skipped"

    run = answered_retraining(running, "Approve")
    promoted = running.model("champion")
    assert promoted["version"] > challenger["version"]
    assert promoted["gate_reasons"].startswith("promoted: not worse than")
    assert running.task_states(RETRAIN, run)["emit_champion"] == "success"
