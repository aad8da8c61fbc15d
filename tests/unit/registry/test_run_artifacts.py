"""A run's shared artefacts are complete, checked and deletable."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.errors import RegistryError, RegistryUnavailable
from moovier.registry.run_artifacts import RunArtifacts
from moovier.registry.tracking import Tracking
from tests.servers import Server, free_port


@pytest.fixture
def run_id(tracking: Tracking) -> str:
    return tracking.start("retraining", retraining="k", part="retraining")


@pytest.fixture
def artifacts(mlflow: Server, run_id: str) -> RunArtifacts:
    return RunArtifacts(mlflow.address, run_id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "ratings.bin").write_bytes(bytes(range(256)) * 100)
    (folder / "plan.json").write_text("{}")
    return folder


def stored(mlflow: Server, run_id: str) -> list[Path]:
    return list((mlflow.folder / "artifacts").rglob(f"{run_id}/artifacts/parts/*/*"))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_folder_is_fetched_unchanged(artifacts: RunArtifacts, folder: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    assert artifacts.fetch("prepared", target) is False
    assert not target.exists()
    artifacts.publish("prepared", folder)
    target.mkdir()
    (target / "old").write_text("of another attempt")
    assert artifacts.fetch("prepared", target) is True
    assert contents(target) == contents(folder)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_file_is_fetched_unchanged_and_the_newest_counts(
    artifacts: RunArtifacts, tmp_path: Path
) -> None:
    file, target = tmp_path / "decision.json", tmp_path / "target.json"
    for content in ("{}", '{"promote": true}'):
        file.write_text(content)
        artifacts.publish("decision", file)
        assert artifacts.fetch("decision", target) is True
        assert target.read_text() == content


def test_same_content_is_uploaded_once(
    artifacts: RunArtifacts, mlflow: Server, run_id: str, folder: Path
) -> None:
    artifacts.publish("prepared", folder)
    (file,) = stored(mlflow, run_id)
    written = file.stat().st_mtime_ns
    for path in folder.rglob("*"):
        path.touch()
    artifacts.publish("prepared", folder)
    assert [path.stat().st_mtime_ns for path in stored(mlflow, run_id)] == [written]


def test_altered_artefact_is_rejected(
    artifacts: RunArtifacts, mlflow: Server, run_id: str, folder: Path, tmp_path: Path
) -> None:
    artifacts.publish("prepared", folder)
    (file,) = stored(mlflow, run_id)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(RegistryError, match="was altered"):
        artifacts.fetch("prepared", tmp_path / "target")
    file.unlink()
    with pytest.raises(RegistryError, match="is missing"):
        artifacts.fetch("prepared", tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_deleted_artefact_is_removed_from_the_store(
    artifacts: RunArtifacts, mlflow: Server, run_id: str, folder: Path, tmp_path: Path
) -> None:
    artifacts.publish("prepared", folder)
    (folder / "plan.json").write_text("[]")
    artifacts.publish("prepared", folder)
    artifacts.publish("decision", folder / "plan.json")
    artifacts.delete("prepared")
    artifacts.delete("prepared")
    assert set(artifacts.list()) == {"decision"}
    assert len(stored(mlflow, run_id)) == 1
    assert artifacts.fetch("prepared", tmp_path / "target") is False


def test_missing_server_is_reported(run_id: str, folder: Path) -> None:
    artifacts = RunArtifacts(f"http://127.0.0.1:{free_port()}", run_id)
    with pytest.raises(RegistryUnavailable):
        artifacts.publish("prepared", folder)
