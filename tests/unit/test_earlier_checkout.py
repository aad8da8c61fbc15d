"""The files from which the container test of an upgrade starts (tests/containers/previous.py)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from tests.containers import previous


def git(folder: Path, *command: str) -> str:
    identity = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    done = subprocess.run(
        ["git", "-C", str(folder), *identity, *command], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "file").write_text("old")
    git(folder, "add", "file")
    git(folder, "commit", "--quiet", "--message", "Old")
    return folder


def test_files_are_those_of_the_commit(repository: Path, tmp_path: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "file").write_text("new")
    git(repository, "commit", "--quiet", "--all", "--message", "New")
    root = previous.checkout(commit, tmp_path, repository=repository)
    assert (root / "file").read_text() == "old"


def test_missing_commit_says_that_the_history_is_needed(repository: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"cannot read commit 0123456 of .*whole history"):
        previous.checkout("0123456", tmp_path, repository=repository)


def test_source_archive_says_that_the_history_is_needed(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"not a git repository.*whole history"):
        previous.checkout(previous.PREVIOUS, tmp_path, repository=tmp_path)


def test_only_our_images_get_another_tag(tmp_path: Path) -> None:
    services = {
        "mlflow": {"image": "moovier-mlflow", "build": "."},
        "service": {"image": "moovier-serving", "build": "."},
        "trainer": {"image": "moovier-training", "build": "."},
        "postgres": {"image": "postgres:17"},
        "s3": {"image": "s3:4"},
    }
    (tmp_path / "docker-compose.yaml").write_text(yaml.safe_dump({"services": services}))
    changed = yaml.safe_load(previous.overrides(tmp_path, tmp_path)[-1].read_text())["services"]
    images = {name: service.get("image") for name, service in changed.items()}
    assert images == {
        "mlflow": "moovier-mlflow:previous",
        "service": "moovier-serving:previous",
        "trainer": "moovier-training:previous",
        "s3": None,
    }
    assert set(previous.images(tmp_path)) == {image for image in images.values() if image}
