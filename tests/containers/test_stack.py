"""The whole stack with our own images: from an empty disk to a restored backup.

The tests are steps of one stack's life, in this order.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import moovier
from tests.containers import checks
from tests.containers.project import ABSENT, SERVICES, Project, backup_commands, docker, project
from tests.stack_processes.api_client import RegistryClient, ServiceClient, http
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.faults import (
    FAULTS,
    WORKERS,
    Outcome,
    first_ingest,
    retraining,
)
from tests.stack_processes.secret_readers import SECRET_READERS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(7200)]

UP_S = 1800.0
#: Started in the test of the first ingest.
LATER = {"first-training"}
JOBS = {name for name, service in SERVICES.items() if not service.restarts} - LATER
LASTING = set(SERVICES) - JOBS - LATER - ABSENT
READERS = {
    name: services & set(SERVICES) - LATER - ABSENT for name, services in SECRET_READERS.items()
}
(KILLED_WORKER,) = (fault for fault in FAULTS if fault.container is None)


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Project]:
    """Everything but the first training, with one worker and the sample data."""
    with project(MOOVIER_DATA="sample", TMDB_API_KEY="a-key-that-nobody-uses") as created:
        created.build_ours()
        created.up(timeout_s=UP_S, without=frozenset(LATER | ABSENT))
        yield created


@pytest.fixture(scope="module")
def undisturbed(stack: Project) -> Outcome:
    """The outcome of an ingest and of the first retraining, with two workers."""
    first_ingest(stack)
    stack.scale("airflow-worker", WORKERS)
    stack.await_all_healthy(timeout_s=UP_S)
    return retraining(stack, None, print)


def test_every_service_is_healthy(stack: Project) -> None:
    expected = {f"{name}-1": "healthy" for name in LASTING} | {f"{n}-1": "done" for n in JOBS}
    assert stack.health() == expected


def test_no_process_is_root_or_has_capabilities(stack: Project) -> None:
    checks.no_process_is_root_or_has_capabilities(stack)


def test_roots_are_read_only(stack: Project) -> None:
    checks.roots_are_read_only(stack)
    checks.only_volumes_and_memory_can_be_written(stack)


def test_memory_limits_are_those_of_the_kernel(stack: Project) -> None:
    checks.memory_limits_are_those_of_the_kernel(stack)


def test_ports_are_published_on_the_loopback_address_only(stack: Project) -> None:
    checks.ports_are_on_the_loopback_address(stack)


def test_containers_know_only_the_secrets_that_they_need(stack: Project) -> None:
    checks.only_these_know_the_secrets(stack, READERS)


def test_images_hold_no_secret_and_no_data(stack: Project) -> None:
    """Nothing of `.env`, of this machine's folders or of Git is copied into an image."""
    for image in ("moovier-serving", "moovier-training", "moovier-mlflow"):
        script = "find / -xdev \\( -name .env -o -name .git -o -name ratings.csv \\) 2>/dev/null"
        found = docker("run", "--rm", "--network=none", image, "sh", "-c", f"{script} || true")
        assert found == "", image
        described = docker("inspect", image) + docker("history", "--no-trunc", image)
        assert not [name for name in READERS if stack.variables[name] in described], image


def test_packages_of_the_images_are_whole(stack: Project) -> None:
    """The compiled scorers load, and both images have the version of the checkout."""
    script = "import moovier.models._kernels, importlib.metadata as m; print(m.version('moovier'))"
    for image in ("moovier-serving", "moovier-training"):
        version = docker("run", "--rm", "--network=none", image, "python", "-c", script)
        assert version.strip() == moovier.__version__, image


def test_images_of_a_release_carry_its_version(stack: Project) -> None:
    """`make dist` builds the images of the compose file under the version of its wheel."""
    network = "--network=host" if "CONTAINERS_STANDINS" in os.environ else ""
    make = ["make", "--no-print-directory", "images", f"DOCKER_BUILD_ARGS={network}"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for image in ("moovier-serving", "moovier-training", "moovier-mlflow"):
        released = f"{image}:{moovier.__version__}"
        assert f"built the image {released}" in done.stdout
        layers = [
            docker("inspect", "--format={{json .RootFS.Layers}}", name)
            for name in (image, released)
        ]
        assert layers[0] == layers[1], image
        docker("image", "rm", released)


def test_first_retraining_makes_a_champion_that_answers(
    stack: Project, undisturbed: Outcome
) -> None:
    assert (undisturbed.state, undisturbed.broken) == ("success", [])
    answer = ServiceClient(stack).await_version(RegistryClient(stack).champion()["version"])
    assert len(answer.json()["1"]) == 5
    assert http().get(f"{stack.url('service', 8000)}/readyz").status_code == 200
    for number in range(1, WORKERS + 1):
        assert "Executing workload" in stack.logs(f"airflow-worker-{number}")


def test_rating_needs_a_key_and_is_stored(stack: Project, undisturbed: Outcome) -> None:
    service = ServiceClient(stack)
    body = {"user_id": 1, "ratings": [{"movie_id": 1, "stars": 4.5}]}
    assert service.http.post("/ratings", json=body).status_code == 401
    key = stack.run("service", "moovier", "keys", "make", "tester", "--scope", "write").split()[-1]
    given = service.http.post("/ratings", json=body, headers={"X-API-Key": key})
    assert given.status_code in (200, 201), given.text
    assert _feedback(stack) == 1


def test_retraining_succeeds_although_its_worker_is_killed(
    stack: Project, undisturbed: Outcome
) -> None:
    outcome = retraining(stack, KILLED_WORKER, print)
    assert outcome.problems(undisturbed) == []
    assert outcome.retried > 0, "no task was interrupted"


@pytest.mark.parametrize("service", ["mlflow", "trainer", "service", "airflow-worker"])
def test_service_beyond_its_memory_limit_is_restarted_and_loses_nothing(
    stack: Project, undisturbed: Outcome, service: str
) -> None:
    before, versions, ratings = stack.containers(), _versions(stack), _feedback(stack)
    champion = RegistryClient(stack).champion()["version"]
    stack.exhaust_memory(f"{service}-1")
    _await_restart(stack, f"{service}-1", before[f"{service}-1"]["RestartCount"])
    stack.await_all_healthy(timeout_s=UP_S)
    restarted = {
        name: container["RestartCount"] - before[name]["RestartCount"]
        for name, container in stack.containers().items()
    }
    assert {name for name, times in restarted.items() if times} == {f"{service}-1"}
    ServiceClient(stack).await_version(champion)
    assert (_versions(stack), _feedback(stack)) == (versions, ratings)


def test_fine_tuning_works_after_the_restarts(stack: Project, undisturbed: Outcome) -> None:
    """It needs the service, the trainer and MLflow."""
    key = stack.run("service", "moovier", "keys", "make", "trainer", "--scope", "train").split()[-1]
    answer = ServiceClient(stack).http.post(
        "/train",
        json={"users": [1, 2], "movies": [1, 2], "ratings": [5, 4]},
        headers={"X-API-Key": key},
        timeout=300.0,
    )
    assert answer.status_code == 200, answer.text


def test_every_service_restarts(stack: Project, undisturbed: Outcome) -> None:
    version = RegistryClient(stack).champion()["version"]
    for service in sorted(LASTING):
        stack.restart(service)
    stack.await_all_healthy(timeout_s=UP_S)
    ServiceClient(stack).await_version(version)


def test_backup_is_restored_on_an_empty_disk(
    stack: Project, undisturbed: Outcome, tmp_path: Path
) -> None:
    """The commands of docs/operations.md."""
    backup, restore = backup_commands()
    version, versions = RegistryClient(stack).champion()["version"], _versions(stack)
    ratings = _feedback(stack)
    before = ServiceClient(stack).await_version(version)
    stack.shell(backup, tmp_path)
    stack.down(volumes=True)
    assert stack.left_over() == []
    stack.shell(restore, tmp_path)
    stack.up(timeout_s=UP_S, without=frozenset(ABSENT))
    assert _versions(stack) == versions
    after = ServiceClient(stack).await_version(version)
    assert after.json() == before.json()
    assert _feedback(stack) == ratings > 0


def test_nothing_is_left_after_the_removal(stack: Project) -> None:
    stack.down(volumes=True)
    assert stack.left_over() == []


def _await_restart(stack: Project, name: str, earlier: int) -> None:
    deadline = time.monotonic() + 240.0
    while stack.containers()[name]["RestartCount"] == earlier:
        assert time.monotonic() < deadline, f"{name} was not restarted"
        time.sleep(0.5)


def _versions(stack: Project) -> list[str]:
    return [version["version"] for version in RegistryClient(stack).versions()]


def _feedback(stack: Project) -> int:
    """Return the number of ratings in the database."""
    psql = ("psql", "--username=postgres", "--dbname=moovier", "--no-align", "--tuples-only")
    return int(stack.run("postgres", *psql, "-c", "SELECT count(*) FROM feedback_ratings"))
