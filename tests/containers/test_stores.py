"""The services of other projects: databases, queue, object store and metrics.

The tests are steps of one stack's life, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.containers import checks
from tests.containers.project import ABSENT, Project, backup_commands, docker, project
from tests.stack_processes.container_paths import ROOT
from tests.stack_processes.secret_readers import SECRET_READERS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(3600)]

UP_S = 900.0
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())
SERVICES = {name for name, service in COMPOSE["services"].items() if "build" not in service}
READERS = {name: services & SERVICES for name, services in SECRET_READERS.items()}


@pytest.fixture(scope="module")
def stack(engine: None) -> Iterator[Project]:
    with project() as created:
        created.up(timeout_s=UP_S, without=frozenset(COMPOSE["services"]) - SERVICES | ABSENT)
        yield created


def test_every_store_is_healthy(stack: Project) -> None:
    assert stack.health() == {f"{name}-1": "healthy" for name in SERVICES - ABSENT}


def test_no_process_is_root_or_has_capabilities(stack: Project) -> None:
    checks.no_process_is_root_or_has_capabilities(stack)


def test_roots_are_read_only(stack: Project) -> None:
    checks.roots_are_read_only(stack)


def test_memory_limits_are_those_of_the_kernel(stack: Project) -> None:
    checks.memory_limits_are_those_of_the_kernel(stack)


def test_ports_are_published_on_the_loopback_address_only(stack: Project) -> None:
    checks.ports_are_on_the_loopback_address(stack)


def test_containers_know_only_the_secrets_that_they_need(stack: Project) -> None:
    checks.only_these_know_the_secrets(stack, READERS)


@pytest.mark.parametrize("service", ["postgres", "redis"])
def test_process_beyond_the_memory_limit_is_killed_and_the_store_goes_on(
    stack: Project, service: str
) -> None:
    before = stack.containers()[f"{service}-1"]
    # Without line ends, `tail` keeps its whole input in memory.
    script = f"head -c {2 * before['HostConfig']['Memory']} /dev/zero | tail >/dev/null"
    with pytest.raises(RuntimeError, match="exit code 137"):
        docker("exec", before["Id"], "sh", "-c", script)
    stack.await_healthy(f"{service}-1", timeout_s=UP_S)
    after = stack.containers()[f"{service}-1"]
    assert after["State"]["StartedAt"] == before["State"]["StartedAt"]


def test_every_store_restarts(stack: Project) -> None:
    for service in sorted(SERVICES - ABSENT):
        stack.restart(service)
    stack.await_all_healthy(timeout_s=UP_S)


def test_backup_is_restored_on_an_empty_disk(stack: Project, tmp_path: Path) -> None:
    """The commands of docs/operations.md."""
    backup, restore = backup_commands()
    psql = ("psql", "--username=postgres", "--dbname=moovier", "--no-align", "--tuples-only")
    stack.run("postgres", *psql, "-c", "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
    stack.run("s3", "sh", "-c", "echo object > /data/kept")
    stack.shell(backup, tmp_path)
    stack.down(volumes=True)
    assert stack.left_over() == []
    stack.shell(restore, tmp_path)
    stack.start("s3-1")
    stack.await_healthy("s3-1", timeout_s=UP_S)
    assert stack.run("postgres", *psql, "-c", "SELECT n FROM kept").strip() == "7"
    assert stack.run("s3", "cat", "/data/kept") == "object\n"


def test_nothing_is_left_after_the_removal(stack: Project) -> None:
    stack.down(volumes=True)
    assert stack.left_over() == []
