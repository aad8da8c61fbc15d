"""What a run hands on: whole, checked, and gone when it is dropped."""

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
def parts(mlflow: Server, run_id: str) -> RunArtifacts:
    return RunArtifacts(mlflow.address, run_id)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
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


def test_a_folder_arrives_as_it_was(parts: RunArtifacts, folder: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    assert parts.fetch("prepared", there) is False
    assert not there.exists()
    parts.publish("prepared", folder)
    there.mkdir()
    (there / "old").write_text("of another attempt")
    assert parts.fetch("prepared", there) is True
    assert contents(there) == contents(folder)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_file_arrives_as_it_was_and_the_newest_counts(
    parts: RunArtifacts, tmp_path: Path
) -> None:
    file, there = tmp_path / "decision.json", tmp_path / "there.json"
    for said in ("{}", '{"promote": true}'):
        file.write_text(said)
        parts.publish("decision", file)
        assert parts.fetch("decision", there) is True
        assert there.read_text() == said


def test_the_same_content_is_sent_once(
    parts: RunArtifacts, mlflow: Server, run_id: str, folder: Path
) -> None:
    parts.publish("prepared", folder)
    (file,) = stored(mlflow, run_id)
    written = file.stat().st_mtime_ns
    for path in folder.rglob("*"):
        path.touch()
    parts.publish("prepared", folder)
    assert [path.stat().st_mtime_ns for path in stored(mlflow, run_id)] == [written]


def test_what_was_altered_is_not_taken(
    parts: RunArtifacts, mlflow: Server, run_id: str, folder: Path, tmp_path: Path
) -> None:
    parts.publish("prepared", folder)
    (file,) = stored(mlflow, run_id)
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(RegistryError, match="was altered"):
        parts.fetch("prepared", tmp_path / "there")
    file.unlink()
    with pytest.raises(RegistryError, match="is gone"):
        parts.fetch("prepared", tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_dropped_part_is_gone_from_the_store(
    parts: RunArtifacts, mlflow: Server, run_id: str, folder: Path, tmp_path: Path
) -> None:
    parts.publish("prepared", folder)
    (folder / "plan.json").write_text("[]")
    parts.publish("prepared", folder)
    parts.publish("decision", folder / "plan.json")
    parts.delete("prepared")
    parts.delete("prepared")
    assert set(parts.list()) == {"decision"}
    assert len(stored(mlflow, run_id)) == 1
    assert parts.fetch("prepared", tmp_path / "there") is False


def test_a_server_that_is_away_is_said(run_id: str, folder: Path) -> None:
    parts = RunArtifacts(f"http://127.0.0.1:{free_port()}", run_id)
    with pytest.raises(RegistryUnavailable):
        parts.publish("prepared", folder)
