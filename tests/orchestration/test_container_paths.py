"""The local replacements of a container's names, addresses and paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stack_processes.compose import Mount, Service
from tests.stack_processes.container_paths import ContainerPaths, copied_into

ADDRESSES = {
    "postgres": "127.9.9.1",
    "redis": "127.9.9.2",
    "mlflow": "127.9.9.3",
    "s3": "127.9.9.4",
}


@pytest.fixture
def paths(tmp_path: Path) -> ContainerPaths:
    mounts = (
        Mount("/var/lib/moovier", "work", named=True),
        Mount("/tmp"),
        Mount("/etc/app/conf.ini", content="home = /var/lib/moovier\nat = redis:6379\n"),
    )
    service = Service("mlflow", "x", None, ("run",), {}, mounts, {}, None, True)
    created = ContainerPaths(
        service, ADDRESSES["mlflow"], ADDRESSES, tmp_path / "own", tmp_path / "volumes"
    )
    created.create()
    return created


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("http://mlflow:5000", "http://127.9.9.3:5000"),
        ("redis://:redis@redis:6379/0", "redis://:redis@127.9.9.2:6379/0"),
        ("redis://redis:6379", "redis://127.9.9.2:6379"),
        # A user, a database and a path are not hosts.
        ("p+x://mlflow:1f@postgres:5432/mlflow", "p+x://mlflow:1f@127.9.9.1:5432/mlflow"),
        ("p+x://mlflow@postgres:5432/mlflow_users", "p+x://mlflow@127.9.9.1:5432/mlflow_users"),
        ("http://s3:8333/mlflow/redis", "http://127.9.9.4:8333/mlflow/redis"),
        ("s3://moovier-mlflow", "s3://moovier-mlflow"),
        ("--username=postgres", "--username=postgres"),
        # A name on its own is a host only before a port.
        ("mlflow:*,localhost:*", "127.9.9.3:*,127.9.9.3:*"),
        ("postgres:5432/postgres?sslmode=disable", "127.9.9.1:5432/postgres?sslmode=disable"),
        ("Host: mlflow:5000", "Host: 127.9.9.3:5000"),
        ("--host=0.0.0.0", "--host=127.9.9.3"),
        ("http://127.0.0.1:8000/livez", "http://127.9.9.3:8000/livez"),
        ("1127.0.0.1 localhosts", "1127.0.0.1 localhosts"),
    ],
)
def test_hosts_become_local_addresses(paths: ContainerPaths, text: str, local: str) -> None:
    assert paths.translate(text) == local


def test_paths_and_mounted_files_are_translated(paths: ContainerPaths, tmp_path: Path) -> None:
    volume = tmp_path / "volumes" / "work"
    assert (
        paths.translate("/var/lib/moovier/a --tmp=/tmp") == f"{volume}/a --tmp={paths.path('/tmp')}"
    )
    assert paths.translate("/var/lib/moovier2 /opt/tmp2") == "/var/lib/moovier2 /opt/tmp2"
    written = paths.path("/etc/app/conf.ini").read_text()
    assert written == f"home = {volume}\nat = 127.9.9.2:6379\n"


def test_image_has_the_copies_of_its_stage_and_base() -> None:
    assert {"pyproject.toml", "moovier", "bentos", "web/dist"} <= set(copied_into("serving"))
    assert "dags" not in copied_into("serving")
    assert {"pyproject.toml", "moovier", "bentos", "dags", "data"} <= set(copied_into("training"))
