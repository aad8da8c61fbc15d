"""docker-compose.yaml at work: every service, from an empty disk to a recommendation and back.

With a Docker engine the containers themselves; without one the same commands, environment, health
checks and files as processes (tests/stack_processes).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import yaml

from tests.dvc_checkout import REMOTE_BESIDE
from tests.stack_processes import standins
from tests.stack_processes.api_client import INGEST, RETRAIN, Operator, Registry, Viewer, http
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.docker import docker_stack, has_engine
from tests.stack_processes.driver import Stack, generated_variables
from tests.stack_processes.processes import ABSENT, has_loopback_network, process_stack

WORKERS = 2
FAMILY = "dae"
UP_S, RUN_S, DATA_S = 400.0, 800.0, 120.0
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "prometheus" / "rules"
#: Figures that the workflow of this name makes: without it nobody can ask for them.
MONITORING, MONITOR = "moovier_monitoring", "moovier_monitor"
HAS_MONITORING = (ROOT / "dags" / f"{MONITOR}.py").exists()

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything started in its order, but for what asks for the first training."""
    with running_stack() as one:
        one.up(timeout_s=UP_S, without=frozenset({"first-training"}))
        yield one


def running_stack() -> Any:
    """A stack of containers or processes that is not started yet."""
    real = REMOTE_BESIDE.is_dir() and not has_engine()
    variables = generated_variables(MOOVIER_DATA="ml-latest-small" if real else "sample")
    if has_engine():
        return docker_stack(variables, {"airflow-worker": WORKERS})
    lacking = standins.missing()
    if not has_loopback_network():
        lacking.append("addresses in 127.0.0.0/8 (Linux)")
    if lacking and "CI" not in os.environ:
        pytest.skip(f"neither a Docker engine nor {', '.join(lacking)}")
    assert not lacking, f"needed in CI: {', '.join(lacking)}"
    return process_stack(variables, {"airflow-worker": WORKERS})


@dataclass(frozen=True)
class Loop:
    """What one pass from the data to the champion left behind."""

    ingest: str
    retraining: str
    pulled: dict[str, Any]


@pytest.fixture(scope="module")
def loop(stack: Stack) -> Loop:
    """The first ingest, asked for by the stack itself, and a retraining of one quick family."""
    operator = Operator(stack)
    if stack.variables["MOOVIER_DATA"] == "ml-latest-small":
        assert stack.put("moovier-dvc", REMOTE_BESIDE)
    # The ingest's asset would start a retraining of all families, which takes long.
    operator.pause(RETRAIN)
    stack.start("first-training-1")
    ingest = _first_run(operator, stack)
    assert operator.follow(INGEST, ingest, timeout_s=RUN_S) == "success", operator.said(
        INGEST, ingest
    )
    conf = {"families": [FAMILY], "trials": 2, "workers": WORKERS}
    retraining = operator.trigger(RETRAIN, conf)
    operator.pause(RETRAIN, paused=False)
    assert operator.follow(RETRAIN, retraining, timeout_s=RUN_S) == "success", operator.said(
        RETRAIN, retraining
    )
    operator.pause(RETRAIN)
    if HAS_MONITORING:
        run = operator.trigger(MONITOR)
        assert operator.follow(MONITOR, run, timeout_s=RUN_S) == "success", operator.said(
            MONITOR, run
        )
    return Loop(ingest, retraining, operator.result(INGEST, ingest, "pull"))


def _first_run(operator: Operator, stack: Stack) -> str:
    deadline = time.monotonic() + UP_S
    while not (runs := operator.runs(INGEST)):
        assert time.monotonic() < deadline, stack.logs("first-training-1")
        time.sleep(1.0)
    return str(runs[0]["dag_run_id"])


def test_every_service_of_the_file_runs_and_is_well(stack: Stack) -> None:
    whole = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    health = stack.health()
    absent = set() if has_engine() else ABSENT
    there = {name.rpartition("-")[0] for name in health} | {"first-training"}
    assert there == set(whole) - absent
    wrong = {
        name: state
        for name, state in health.items()
        if state not in ("healthy", "done") and not name.startswith("first-training")
    }
    assert wrong == {}


def test_nothing_answers_without_a_login(stack: Stack) -> None:
    with http() as anybody:
        mlflow = anybody.get(
            f"{stack.url('mlflow', 5000)}/api/2.0/mlflow/experiments/get?experiment_id=0"
        )
        airflow = anybody.get(f"{stack.url('airflow-api-server', 8080)}/api/v2/dags")
        training = anybody.post(
            f"{stack.url('service', 8000)}/train",
            json={"users": [1], "movies": [1], "ratings": [4.0]},
        )
    assert (mlflow.status_code, airflow.status_code, training.status_code) == (401, 401, 401)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        Registry(stack, ("admin", "wrong")).versions()


def test_the_data_come_through_the_remote_in_the_store(stack: Stack, loop: Loop) -> None:
    expected = {"ml-latest-small": "remote", "sample": "sample"}
    assert loop.pulled["source"] == expected[stack.variables["MOOVIER_DATA"]]


def test_both_workers_took_tasks(stack: Stack, loop: Loop) -> None:
    for number in range(1, WORKERS + 1):
        assert "Executing workload" in stack.logs(f"airflow-worker-{number}")
    tasks = Operator(stack).tasks(RETRAIN, loop.retraining)
    assert {task["state"] for task in tasks} == {"success"}
    assert sum(task["task_id"] == "tune" for task in tasks) == WORKERS


def test_task_logs_lie_in_the_store(stack: Stack, loop: Loop) -> None:
    said = Operator(stack).log(RETRAIN, loop.retraining, "prepare", 1)
    assert "s3://moovier-airflow-logs" in said
    assert "Returned value was" in said


def test_the_champion_is_whole_and_answers(stack: Stack, loop: Loop) -> None:
    registry = Registry(stack)
    champion = registry.champion()
    tags = {tag["key"]: tag["value"] for tag in champion["tags"]}
    assert tags["gate"] == "promoted"
    assert tags["data_hash"] == loop.pulled["hash"]
    versions = registry.versions()
    assert versions
    for version in versions:
        assert {tag["key"]: tag["value"] for tag in version["tags"]}["complete"] == "true"
    answer = Viewer(stack).await_version(champion["version"])
    assert answer.status_code == 200
    assert len(answer.json()["1"]) == 5
    ready = http().get(f"{stack.url('service', 8000)}/readyz")
    assert ready.status_code == 200


def test_trials_are_in_the_shared_study_and_on_its_page(stack: Stack, loop: Loop) -> None:
    with http(base_url=stack.url("optuna-dashboard", 8081)) as page:
        studies = page.get("/api/studies").json()["study_summaries"]
        (study,) = (one for one in studies if FAMILY in one["study_name"])
        detail = page.get(f"/api/studies/{study['study_id']}").json()
    assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Complete"]


def test_a_rating_is_kept_and_the_next_ingest_takes_it_in(stack: Stack, loop: Loop) -> None:
    key = stack.run("service", "moovier", "keys", "make", "tester", "--scope", "write").split()[-1]
    viewer = Viewer(stack)
    (first,) = viewer.http.post("/recommend", json={"user_id": 1, "top_k": 1}).json()["items"]
    body = {"user_id": 1, "ratings": [{"movie_id": first["movie_id"], "stars": 4.5}]}
    assert viewer.http.post("/ratings", json=body).status_code == 401
    given = viewer.http.post("/ratings", json=body, headers={"X-API-Key": key})
    assert given.status_code in (200, 201), given.text
    operator = Operator(stack)
    run = operator.trigger(INGEST)
    assert operator.follow(INGEST, run, timeout_s=RUN_S) == "success", operator.said(INGEST, run)
    pulled = operator.result(INGEST, run, "pull")
    merged = pulled["feedback"]
    assert merged["added"] + merged["replaced"] == 1
    assert pulled["hash"] != loop.pulled["hash"]
    assert "kept in the DVC remote" in pulled["note"], "for a validation on another machine"


@pytest.mark.parametrize("name", ["airflow", "mlflow", "mlflow_users", "optuna", "moovier"])
def test_a_database_is_restored_as_it_was(stack: Stack, loop: Loop, name: str) -> None:
    """Dumped and restored as docs/operations.md does it, while everything goes on."""
    dump = f"pg_dump -U postgres --format=custom {name}"
    restore = "pg_restore -U postgres --clean --if-exists -d restored"
    told = (ROOT / "docs" / "operations.md").read_text()
    assert dump.replace(name, '"$name"') in told
    assert restore.replace("restored", '"$name"') in told
    at = "export PGHOST=/run/postgresql;"
    before = _rows(stack, name)
    stack.run("postgres", "sh", "-c", f"{at} createdb -U postgres restored")
    try:
        stack.run("postgres", "sh", "-c", f"{at} {dump} | {restore}")
        restored, after = _rows(stack, "restored"), _rows(stack, name)
    finally:
        stack.run("postgres", "sh", "-c", f"{at} dropdb -U postgres restored")
    assert sum(before.values()) > 0
    assert restored.keys() == before.keys()
    for table, rows in restored.items():
        assert min(before[table], after[table]) <= rows <= max(before[table], after[table]), table


def _rows(stack: Stack, database: str) -> dict[str, int]:
    """How many there are in each table."""
    count = "query_to_xml(format('SELECT count(*) AS n FROM %I', tablename), false, true, '')"
    counts = (
        f"SELECT tablename, (xpath('/row/n/text()', {count}))[1]::text "
        "FROM pg_tables WHERE schemaname = 'public'"
    )
    psql = ("psql", "-h", "/run/postgresql", "-U", "postgres", "-At", "-d", database)
    lines = stack.run("postgres", *psql, "-c", counts).splitlines()
    return {table: int(rows) for table, rows in (line.split("|") for line in lines)}


# Prometheus and Grafana


def _queries() -> list[tuple[str, str]]:
    """Every query of every panel, and where it stands."""
    return [
        (f"{file.stem}, {panel['title']}, {target['refId']}", target["expr"])
        for file in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", [])
        if HAS_MONITORING or MONITORING not in target["expr"]
    ]


def _rules() -> list[tuple[str, str]]:
    return [
        (rule["alert"], rule["expr"])
        for file in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
        if HAS_MONITORING or MONITORING not in rule["expr"]
    ]


class Prometheus:
    def __init__(self, stack: Stack) -> None:
        self._http = http(base_url=f"{stack.url('prometheus', 9090)}/api/v1")

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = self._http.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def get(self, path: str) -> Any:
        return self._http.get(path).json()["data"]


def test_prometheus_reaches_all_and_has_the_rules(stack: Stack) -> None:
    prometheus = Prometheus(stack)
    targets = {
        one["labels"]["job"]: one["health"] for one in prometheus.get("/targets")["activeTargets"]
    }
    assert targets == {"service": "up", "postgres": "up", "redis": "up", "prometheus": "up"}
    rules = [rule for group in prometheus.get("/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} >= {name for name, _ in _rules()}
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


def test_every_panel_has_data(stack: Stack, loop: Loop) -> None:
    """While the service is used: a rate needs two looks of Prometheus's."""
    viewer, prometheus = Viewer(stack), Prometheus(stack)
    silent = dict(_queries())
    deadline = time.monotonic() + DATA_S
    while silent and time.monotonic() < deadline:
        viewer.predict(1)
        viewer.predict(999_999)
        viewer.http.post("/recommend", json={"ratings": {"1": 5.0, "2": 3.0}, "top_k": 3})
        silent = {
            where: query for where, query in silent.items() if not _has_data(prometheus, query)
        }
        time.sleep(1.0)
    assert silent == {}


def test_every_alert_speaks_of_figures_that_are_there(stack: Stack, loop: Loop) -> None:
    prometheus = Prometheus(stack)
    for name, expression in _rules():
        figures = _figures(expression)
        assert figures, name
        for figure in figures:
            assert prometheus.query(figure), f"{name}: there is no {figure}"


def _has_data(prometheus: Prometheus, expression: str) -> bool:
    found = prometheus.query(expression.replace("$__rate_interval", "1m"))
    return any(one["value"][1] != "NaN" for one in found)


def _figures(expression: str) -> list[str]:
    """The metrics of an expression: with the labels whose value it names; what it only sorts by,
    such as the status of answers that failed, has to be there with some value."""
    found = []
    for name, labels in re.findall(
        r"\b((?:moovier|pg|redis|up)(?:_\w+)?)\b(\{[^}]*\})?", expression
    ):
        wanted = [
            f'{label}="{value}"'
            if how == "=" and label in ("job", "key", "route")
            else f'{label}!=""'
            for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', labels)
        ]
        found.append(f"{name}{{{','.join(wanted)}}}")
    return found


def test_the_test_of_alerts_sees_what_it_should() -> None:
    assert _figures('sum(rate(moovier_a_count{status=~"5.."}[5m])) / up{job="x"} > 0.1') == [
        'moovier_a_count{status!=""}',
        'up{job="x"}',
    ]
