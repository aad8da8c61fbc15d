"""The profile `spark`: an ingest whose ratings are sorted by two workers of a Spark master.

The tests are steps of one stack's life, in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.containers import checks
from tests.containers.project import ABSENT, Project, project
from tests.stack_processes.api_client import INGEST, AirflowClient
from tests.stack_processes.faults import first_ingest

pytestmark = [pytest.mark.containers, pytest.mark.timeout(7200)]

UP_S = 1800.0
WORKERS = 2
SPARK = {"spark-master-1", *(f"spark-worker-{number + 1}" for number in range(WORKERS))}


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Project]:
    """Everything but the first training, with the engine `spark` and the sample data."""
    with project(
        COMPOSE_PROFILES="spark", MOOVIER_ENGINE="spark", MOOVIER_DATA="sample"
    ) as created:
        created.build_ours()
        created.up(timeout_s=UP_S, without=frozenset({"first-training"} | ABSENT))
        created.scale("spark-worker", WORKERS)
        created.await_all_healthy(timeout_s=UP_S)
        yield created


def state_of_master(stack: Project) -> dict[str, Any]:
    """Return what the master's page says, as JSON."""
    script = "from urllib.request import urlopen; print(urlopen('http://spark-master:8082/json/').read().decode())"
    state: dict[str, Any] = json.loads(stack.run("spark-master", "python", "-c", script))
    return state


def test_master_and_workers_are_healthy(stack: Project) -> None:
    health = stack.health()
    assert {name: health[name] for name in SPARK} == dict.fromkeys(SPARK, "healthy")
    assert state_of_master(stack)["aliveworkers"] == WORKERS


def test_spark_runs_as_a_user_with_a_read_only_root(stack: Project) -> None:
    checks.no_process_is_root_or_has_capabilities(stack)
    checks.roots_are_read_only(stack)
    checks.only_volumes_and_memory_can_be_written(stack)


def test_ingest_sorts_the_ratings_on_the_workers(stack: Project) -> None:
    first_ingest(stack)
    airflow = AirflowClient(stack)
    (run,) = airflow.runs(INGEST)
    states = {task["task_id"]: task["state"] for task in airflow.tasks(INGEST, run["dag_run_id"])}
    assert states["sort_on_cluster"] == "success", states
    assert states["validate"] == "success", states
    finished = state_of_master(stack)["completedapps"]
    assert [application["state"] for application in finished] == ["FINISHED"]


def test_nothing_is_left_after_the_removal(stack: Project) -> None:
    stack.down(volumes=True)
    assert stack.left_over() == []
