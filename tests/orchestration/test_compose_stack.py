"""The services of docker-compose.yaml in operation, from empty volumes to a recommendation.

With a Docker engine the tests run the containers; without one they run the same commands,
environment, health checks and files as processes (tests/stack_processes).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import upload
from moovier.data.sources import REAL, SAMPLE
from moovier.settings import Settings
from tests.dvc_checkout import new_project
from tests.stack_processes import standins
from tests.stack_processes.api_client import (
    INGEST,
    RETRAIN,
    AirflowClient,
    RegistryClient,
    ServiceClient,
    http,
)
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.docker import docker_stack, has_engine
from tests.stack_processes.driver import Stack, generated_variables
from tests.stack_processes.processes import ABSENT, has_loopback_network, process_stack

WORKERS = 2
#: In an image, `dae` tests TensorFlow; processes share one environment, and `ease` is the fastest.
FAMILY = "dae" if has_engine() else "ease"
CONF = {"families": [FAMILY], "trials": 2, "workers": WORKERS}
UP_S, RUN_S, DATA_S = 600.0, 800.0, 120.0
DASHBOARDS = ROOT / "deploy" / "grafana" / "dashboards"
RULES = ROOT / "deploy" / "prometheus" / "rules"
MONITOR = "moovier_monitor"

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def stack(dvc_remote: DvcRemote) -> Iterator[Stack]:
    """All services, started in their order, without the one that triggers the first training."""
    with new_stack(dvc_remote) as created:
        created.up(timeout_s=UP_S, without=frozenset({"first-training"}))
        yield created


@dataclass(frozen=True)
class DvcRemote:
    """A DVC remote that holds the sample as ml-latest-small, and the pointer to it."""

    folder: Path
    pointer: str


@pytest.fixture(scope="module")
def dvc_remote(tmp_path_factory: pytest.TempPathFactory, sample_data: Path) -> DvcRemote:
    """A remote with little data, since only the transfer is tested."""
    folder = tmp_path_factory.mktemp("dvc")
    settings = Settings(
        project=new_project(folder / "project"),
        home=folder / "home",
        dvc_remote=str(folder / "remote"),
    )
    hash_ = directory_hash(sample_data)
    upload(sample_data, hash_, settings)
    sizes = [file.stat().st_size for file in sample_data.iterdir()]
    output = {"md5": hash_, "size": sum(sizes), "nfiles": len(sizes), "hash": "md5", "path": REAL}
    return DvcRemote(folder / "remote", yaml.safe_dump({"outs": [output]}))


def new_stack(dvc_remote: DvcRemote) -> AbstractContextManager[Stack]:
    """Return a stack of containers or processes that is not started yet."""
    if has_engine():
        # The images hold the real pointer, and the store of the containers is out of reach.
        variables = generated_variables(MOOVIER_DATA=SAMPLE)
        return docker_stack(variables, {"airflow-worker": WORKERS})
    variables = generated_variables(MOOVIER_DATA=REAL)
    missing = standins.missing()
    if not has_loopback_network():
        missing.append("addresses in 127.0.0.0/8 (Linux)")
    if missing and "CI" not in os.environ:
        pytest.skip(f"neither a Docker engine nor {', '.join(missing)}")
    assert not missing, f"CI needs {', '.join(missing)}"
    pointer = {f"data/{REAL}.dvc": dvc_remote.pointer}
    return process_stack(variables, {"airflow-worker": WORKERS}, pointer)


@dataclass(frozen=True)
class Loop:
    """The runs of one pass from the data to the champion. ``pulled``: the result of the ingest."""

    ingest: str
    retraining: str
    pulled: dict[str, Any]


@pytest.fixture(scope="module")
def loop(stack: Stack, dvc_remote: DvcRemote) -> Loop:
    """The first ingest, which the stack triggers itself, a retraining of one family, a check."""
    airflow = AirflowClient(stack)
    if stack.variables["MOOVIER_DATA"] == REAL:
        assert stack.put("moovier-dvc", dvc_remote.folder)
    # The asset of the ingest would start a retraining of all families, which takes long.
    airflow.pause(RETRAIN)
    stack.start("first-training-1")
    ingest = _first_run(airflow, stack)
    _await_success(airflow, INGEST, ingest)
    retraining = airflow.trigger(RETRAIN, CONF)
    airflow.pause(RETRAIN, paused=False)
    _await_success(airflow, RETRAIN, retraining)
    airflow.pause(RETRAIN)
    _await_success(airflow, MONITOR, airflow.trigger(MONITOR))
    return Loop(ingest, retraining, airflow.result(INGEST, ingest, "pull"))


def _await_success(airflow: AirflowClient, dag: str, run: str) -> None:
    state = airflow.follow(dag, run, timeout_s=RUN_S)
    assert state == "success", airflow.describe(dag, run)


def _first_run(airflow: AirflowClient, stack: Stack) -> str:
    deadline = time.monotonic() + UP_S
    while not (runs := airflow.runs(INGEST)):
        assert time.monotonic() < deadline, stack.logs("first-training-1")
        time.sleep(1.0)
    return str(runs[0]["dag_run_id"])


def test_every_service_of_the_file_is_healthy(stack: Stack) -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"]
    health = stack.health()
    absent = set() if has_engine() else ABSENT
    running = {name.rpartition("-")[0] for name in health} | {"first-training"}
    assert running == set(services) - absent
    unhealthy = {
        name: state
        for name, state in health.items()
        if state not in ("healthy", "done") and not name.startswith("first-training")
    }
    assert unhealthy == {}


def test_requests_without_a_login_are_refused(stack: Stack) -> None:
    with http() as client:
        mlflow = client.get(
            f"{stack.url('mlflow', 5000)}/api/2.0/mlflow/experiments/get?experiment_id=0"
        )
        airflow = client.get(f"{stack.url('airflow-api-server', 8080)}/api/v2/dags")
        training = client.post(
            f"{stack.url('service', 8000)}/train",
            json={"users": [1], "movies": [1], "ratings": [4.0]},
        )
    assert (mlflow.status_code, airflow.status_code, training.status_code) == (401, 401, 401)
    with pytest.raises(httpx.HTTPStatusError, match="401"):
        RegistryClient(stack, ("admin", "wrong")).versions()


def test_data_is_pulled_from_the_dvc_remote_in_the_s3_store(stack: Stack, loop: Loop) -> None:
    expected = {REAL: "remote", SAMPLE: "sample"}
    assert loop.pulled["source"] == expected[stack.variables["MOOVIER_DATA"]]


def test_both_workers_run_tasks(stack: Stack, loop: Loop) -> None:
    for number in range(1, WORKERS + 1):
        assert "Executing workload" in stack.logs(f"airflow-worker-{number}")
    tasks = AirflowClient(stack).tasks(RETRAIN, loop.retraining)
    states = {task["task_id"]: task["state"] for task in tasks}
    # Nobody has to approve.
    assert states.pop("approve") == "skipped"
    assert set(states.values()) == {"success"}
    assert sum(task["task_id"] == "tune" for task in tasks) == WORKERS


def test_task_logs_are_in_the_s3_store(stack: Stack, loop: Loop) -> None:
    log = AirflowClient(stack).log(RETRAIN, loop.retraining, "prepare", 1)
    assert "s3://moovier-airflow-logs" in log
    assert "Returned value was" in log


def test_champion_is_complete_and_served(stack: Stack, loop: Loop) -> None:
    registry = RegistryClient(stack)
    champion = registry.champion()
    tags = {tag["key"]: tag["value"] for tag in champion["tags"]}
    assert tags["gate"] == "promoted"
    assert tags["data_hash"] == loop.pulled["hash"]
    versions = registry.versions()
    assert versions
    for version in versions:
        assert {tag["key"]: tag["value"] for tag in version["tags"]}["complete"] == "true"
    answer = ServiceClient(stack).await_version(champion["version"])
    assert answer.status_code == 200
    assert len(answer.json()["1"]) == 5
    ready = http().get(f"{stack.url('service', 8000)}/readyz")
    assert ready.status_code == 200


def test_trials_are_in_the_shared_study_and_the_dashboard(stack: Stack, loop: Loop) -> None:
    with http(base_url=stack.url("optuna-dashboard", 8081)) as page:
        studies = page.get("/api/studies").json()["study_summaries"]
        (study,) = (study for study in studies if FAMILY in study["study_name"])
        detail = page.get(f"/api/studies/{study['study_id']}").json()
    assert [trial["state"] for trial in detail["trials"]] == ["Complete", "Complete"]


def test_rating_is_stored_and_merged_by_the_next_ingest(stack: Stack, loop: Loop) -> None:
    key = stack.run("service", "moovier", "keys", "make", "tester", "--scope", "write").split()[-1]
    service = ServiceClient(stack)
    (first,) = service.http.post("/recommend", json={"user_id": 1, "top_k": 1}).json()["items"]
    body = {"user_id": 1, "ratings": [{"movie_id": first["movie_id"], "stars": 4.5}]}
    assert service.http.post("/ratings", json=body).status_code == 401
    given = service.http.post("/ratings", json=body, headers={"X-API-Key": key})
    assert given.status_code in (200, 201), given.text
    airflow = AirflowClient(stack)
    run = airflow.trigger(INGEST)
    _await_success(airflow, INGEST, run)
    pulled = airflow.result(INGEST, run, "pull")
    merged = pulled["feedback"]
    assert merged["added"] + merged["replaced"] == 1
    assert pulled["hash"] != loop.pulled["hash"]
    assert "kept in the DVC remote" in pulled["note"], "for a validation on another machine"


@pytest.mark.parametrize("name", ["airflow", "mlflow", "mlflow_users", "optuna", "moovier"])
def test_database_backup_is_restored_completely(stack: Stack, loop: Loop, name: str) -> None:
    """Dump and restore by the commands of docs/operations.md, while the stack runs."""
    dump = f"pg_dump -U postgres --format=custom {name}"
    restore = "pg_restore -U postgres --clean --if-exists -d restored"
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert dump.replace(name, '"$name"') in operations
    assert restore.replace("restored", '"$name"') in operations
    socket = "export PGHOST=/run/postgresql;"
    before = _rows(stack, name)
    stack.run("postgres", "sh", "-c", f"{socket} createdb -U postgres restored")
    try:
        stack.run("postgres", "sh", "-c", f"{socket} {dump} | {restore}")
        restored, after = _rows(stack, "restored"), _rows(stack, name)
    finally:
        stack.run("postgres", "sh", "-c", f"{socket} dropdb -U postgres restored")
    assert sum(before.values()) > 0
    assert restored.keys() == before.keys()
    for table, rows in restored.items():
        assert min(before[table], after[table]) <= rows <= max(before[table], after[table]), table


def _rows(stack: Stack, database: str) -> dict[str, int]:
    """Return the number of rows in each table."""
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
    """Return the place and the query of every panel."""
    return [
        (f"{file.stem}, {panel['title']}, {target['refId']}", target["expr"])
        for file in sorted(DASHBOARDS.glob("*.json"))
        for panel in json.loads(file.read_text())["panels"]
        for target in panel.get("targets", [])
    ]


def _rules() -> list[tuple[str, str]]:
    return [
        (rule["alert"], rule["expr"])
        for file in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


class Prometheus:
    """Prometheus's HTTP API."""

    def __init__(self, stack: Stack) -> None:
        self._http = http(base_url=f"{stack.url('prometheus', 9090)}/api/v1")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series of an instant query."""
        answer = self._http.get("/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        series: list[dict[str, Any]] = answer["data"]["result"]
        return series

    def get(self, path: str) -> Any:
        """Return the data of a GET request."""
        return self._http.get(path).json()["data"]

    def targets(self) -> dict[str, str]:
        """Return the health of each target by its job."""
        active = self.get("/targets")["activeTargets"]
        return {target["labels"]["job"]: target["health"] for target in active}


def test_prometheus_scrapes_all_targets_and_loads_the_rules(stack: Stack) -> None:
    prometheus = Prometheus(stack)
    expected = dict.fromkeys(("service", "postgres", "redis", "prometheus"), "up")
    deadline = time.monotonic() + DATA_S
    # A target is "unknown" before its first scrape.
    while (targets := prometheus.targets()) != expected and time.monotonic() < deadline:
        time.sleep(1.0)
    assert targets == expected
    rules = [rule for group in prometheus.get("/rules")["groups"] for rule in group["rules"]]
    assert {rule["name"] for rule in rules} >= {name for name, _ in _rules()}
    assert [rule["name"] for rule in rules if rule["health"] == "err"] == []


def test_every_panel_has_data(stack: Stack, loop: Loop) -> None:
    """Requests go on meanwhile, because a rate needs two scrapes."""
    service, prometheus = ServiceClient(stack), Prometheus(stack)
    silent = dict(_queries())
    deadline = time.monotonic() + DATA_S
    while silent and time.monotonic() < deadline:
        service.predict(1)
        service.predict(999_999)
        service.http.post("/recommend", json={"ratings": {"1": 5.0, "2": 3.0}, "top_k": 3})
        silent = {
            where: query for where, query in silent.items() if not _has_data(prometheus, query)
        }
        time.sleep(1.0)
    assert silent == {}


def test_every_metric_of_an_alert_exists(stack: Stack, loop: Loop) -> None:
    prometheus = Prometheus(stack)
    for name, expression in _rules():
        metrics = _metrics(expression)
        assert metrics, name
        for metric in metrics:
            assert prometheus.query(metric), f"{name}: no metric {metric}"


def _has_data(prometheus: Prometheus, expression: str) -> bool:
    series = prometheus.query(expression.replace("$__rate_interval", "1m"))
    return any(sample["value"][1] != "NaN" for sample in series)


def _metrics(expression: str) -> list[str]:
    """Return a selector for each metric of an expression.

    Labels ``job``, ``key`` and ``route`` keep the value that the expression requires. Any other
    label, such as the status of failed requests, only has to exist with some value.
    """
    selectors = []
    for name, labels in re.findall(
        r"\b((?:moovier|pg|redis|up)(?:_\w+)?)\b(\{[^}]*\})?", expression
    ):
        matchers = [
            f'{label}="{value}"'
            if how == "=" and label in ("job", "key", "route")
            else f'{label}!=""'
            for label, how, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', labels)
        ]
        selectors.append(f"{name}{{{','.join(matchers)}}}")
    return selectors


def test_selectors_keep_the_names_and_required_labels() -> None:
    assert _metrics('sum(rate(moovier_a_count{status=~"5.."}[5m])) / up{job="x"} > 0.1') == [
        'moovier_a_count{status!=""}',
        'up{job="x"}',
    ]
