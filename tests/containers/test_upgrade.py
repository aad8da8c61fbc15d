"""An upgrade of the whole stack from an earlier commit's images, with data in the volumes.

The tests are steps of one stack's life, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.containers import previous
from tests.containers.project import (
    ABSENT,
    SERVICES,
    Project,
    backup_commands,
    docker,
    network_overrides,
    project,
)
from tests.stack_processes.api_client import (
    INGEST,
    RETRAIN,
    AirflowClient,
    RegistryClient,
    ServiceClient,
    http,
)
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.faults import RUN_S, Outcome, first_ingest, retraining

pytestmark = [pytest.mark.containers, pytest.mark.timeout(7200)]

UP_S = 1800.0
#: The images of our services by name.
OURS = {n: service.image for n, service in SERVICES.items() if service.image.startswith("moovier-")}
RATING = {"movie_id": 1, "stars": 4.5}


@dataclass(frozen=True)
class Before:
    """The state before the upgrade. ``lists``: the answer to /predict; ``backup``: its folder."""

    champion: str
    versions: list[str]
    lists: dict[str, list[dict[str, Any]]]
    key: str
    runs: dict[str, str]
    trained: Outcome
    backup: Path


@dataclass(frozen=True)
class Earlier:
    """The files of the earlier commit, and the compose files that change them."""

    root: Path
    overrides: list[Path]


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Earlier:
    folder = tmp_path_factory.mktemp("earlier")
    root = previous.checkout(previous.PREVIOUS, folder)
    previous.mend(root)
    return Earlier(root, previous.overrides(root, folder))


@pytest.fixture(scope="module")
def stack(engine: None, earlier: Earlier) -> Iterator[Project]:
    """The earlier commit's stack, with its own `.env`."""
    with project(earlier.root, MOOVIER_DATA="sample") as created:
        created.use(earlier.root, earlier.overrides)
        created.build_ours()
        created.up(timeout_s=UP_S, without=frozenset({"first-training"} | ABSENT))
        yield created
    docker("image", "rm", *previous.images(earlier.root))


@pytest.fixture(scope="module")
def before(stack: Project, tmp_path_factory: pytest.TempPathFactory) -> Before:
    """Ingest, train, store a rating and back up with the earlier commit."""
    first_ingest(stack)
    trained = retraining(stack, None, print)
    service, airflow = ServiceClient(stack), AirflowClient(stack)
    make = ("moovier", "keys", "make", "tester", "--scope", "write")
    key = stack.run("service", *make).split()[-1]
    _rate(service, key, RATING)
    champion = RegistryClient(stack).champion()["version"]
    folder = tmp_path_factory.mktemp("backup")
    stack.shell(backup_commands()[0], folder)
    stack.await_all_healthy(timeout_s=UP_S)
    return Before(
        champion=champion,
        versions=[version["version"] for version in RegistryClient(stack).versions()],
        lists=service.await_version(champion).json(),
        key=key,
        runs={dag: airflow.runs(dag)[-1]["dag_run_id"] for dag in (INGEST, RETRAIN)},
        trained=trained,
        backup=folder,
    )


@pytest.fixture(scope="module")
def upgraded(stack: Project, before: Before, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The stack after the commands of docs/operations.md."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (commands,) = re.findall(r"^### Upgrade$.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    pull_and_build, *stop, start = commands.splitlines()
    assert (pull_and_build, start) == (
        "git pull && docker compose build",
        "docker compose up -d",
    )
    stack.use(ROOT, network_overrides(tmp_path_factory.mktemp("files")))
    stack.build_ours()
    stack.shell("\n".join(stop), ROOT, timeout_s=900.0)
    stack.up(timeout_s=UP_S, without=frozenset(ABSENT))
    return stack


def test_earlier_commit_trains_and_answers(before: Before) -> None:
    assert (before.trained.state, before.trained.broken) == ("success", [])
    assert len(before.lists["1"]) == 5


def test_every_service_is_healthy_and_runs_the_new_image(upgraded: Project) -> None:
    assert set(upgraded.health().values()) == {"healthy", "done"}
    used = {
        name.rpartition("-")[0]: container["Config"]["Image"]
        for name, container in upgraded.containers().items()
    }
    assert {name: used[name] for name in OURS} == OURS


def test_champion_answers_as_before(upgraded: Project, before: Before) -> None:
    assert RegistryClient(upgraded).champion()["version"] == before.champion
    answer = ServiceClient(upgraded).await_version(before.champion).json()
    assert _movies(answer) == _movies(before.lists)
    ready = http().get(f"{upgraded.url('service', 8000)}/readyz")
    # The families of this retraining only rank.
    no_stars = "there is no rating model: lists have no stars"
    assert (ready.status_code, ready.json()["degraded"]) == (200, [no_stars])


def test_every_earlier_version_answers(upgraded: Project, before: Before) -> None:
    service = ServiceClient(upgraded)
    for version in before.versions:
        answer = service.http.post("/predict", params={"model_name": version}, json=[1])
        assert answer.status_code == 200, f"version {version}: {answer.text}"


def test_ratings_and_keys_are_still_there(upgraded: Project, before: Before) -> None:
    service = ServiceClient(upgraded)
    headers = {"X-API-Key": before.key}
    stored = service.http.get("/ratings", params={"user_id": 1}, headers=headers)
    assert stored.status_code == 200, stored.text
    assert [(r["movie_id"], r["stars"]) for r in stored.json()["ratings"]] == [(1, 4.5)]
    _rate(service, before.key, {"movie_id": 2, "stars": 2.0})
    again = service.http.post("/ratings", json={"user_id": 1, "ratings": [RATING]})
    assert again.status_code == 401


def test_earlier_runs_and_their_logs_can_be_read(upgraded: Project, before: Before) -> None:
    airflow = AirflowClient(upgraded)
    for dag, run in before.runs.items():
        assert airflow.state(dag, run) == "success"
        for task in airflow.tasks(dag, run):
            if task["state"] == "success":
                index = task["map_index"]
                log = airflow.log(dag, run, task["task_id"], task["try_number"], index)
                assert len(log) > 100, f"{dag} {task['task_id']} {index}: {log}"


def test_ingest_and_retraining_succeed_after_the_upgrade(upgraded: Project, before: Before) -> None:
    airflow = AirflowClient(upgraded)
    airflow.pause(RETRAIN)
    run = airflow.trigger(INGEST)
    assert airflow.follow(INGEST, run, timeout_s=RUN_S) == "success", airflow.describe(INGEST, run)
    outcome = retraining(upgraded, None, print)
    assert (outcome.state, outcome.broken, outcome.failed_polls) == ("success", [], 0)
    registry = RegistryClient(upgraded)
    versions = [version["version"] for version in registry.versions()]
    assert versions[: len(before.versions)] == before.versions
    assert len(versions) > len(before.versions)
    ServiceClient(upgraded).await_version(registry.champion()["version"])


def test_earlier_commit_goes_on_with_its_backup(
    upgraded: Project, before: Before, earlier: Earlier
) -> None:
    """The way back of docs/operations.md."""
    upgraded.down(volumes=True)
    upgraded.use(earlier.root, earlier.overrides)
    upgraded.shell(backup_commands()[1], before.backup)
    upgraded.up(timeout_s=UP_S, without=frozenset(ABSENT))
    service = ServiceClient(upgraded)
    assert service.await_version(before.champion).json() == before.lists
    stored = service.http.get(
        "/ratings", params={"user_id": 1}, headers={"X-API-Key": before.key}
    ).json()["ratings"]
    assert [(rating["movie_id"], rating["stars"]) for rating in stored] == [(1, 4.5)]


def test_nothing_is_left_after_the_removal(upgraded: Project) -> None:
    upgraded.down(volumes=True)
    assert upgraded.left_over() == []


def _movies(lists: dict[str, list[dict[str, Any]]]) -> dict[str, list[Any]]:
    return {user: [movie["id"] for movie in movies] for user, movies in lists.items()}


def _rate(service: ServiceClient, key: str, rating: dict[str, Any]) -> None:
    body = {"user_id": 1, "ratings": [rating]}
    answer = service.http.post("/ratings", json=body, headers={"X-API-Key": key})
    assert answer.status_code in (200, 201), answer.text
