"""A run names the command or the task that started it, and nothing of this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moovier.registry.run_source import source_tags


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["/opt/venv/bin/moovier", "train", "--data", "/home/ann/ratings"], "moovier train"),
        (["/opt/moovier/__main__.py", "tune"], "moovier tune"),
        (["/opt/venv/bin/pytest", "-q"], "pytest"),
    ],
)
def test_command_is_named_without_paths(
    arguments: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_CTX_DAG_ID", raising=False)
    monkeypatch.setattr(sys, "argv", arguments)
    tags = source_tags()
    assert (tags["mlflow.source.name"], tags["mlflow.source.type"]) == (name, "LOCAL")


def test_airflow_task_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CTX_DAG_ID", "moovier_retrain")
    monkeypatch.setenv("AIRFLOW_CTX_TASK_ID", "train")
    tags = source_tags()
    assert tags["mlflow.source.name"] == "moovier_retrain.train"
    assert tags["mlflow.source.type"] == "JOB"


def test_missing_git_leaves_the_commit_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OSError, match="git"):
        subprocess.run(["git"], check=True)
    assert "mlflow.source.git.commit" not in source_tags()
