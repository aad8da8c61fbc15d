"""Stages on several machines share their results; here MLflow is a dictionary."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from moovier.errors import RegistryError, RegistryUnavailable
from moovier.jobs import artifact_exchange
from moovier.jobs.artifact_exchange import ArtifactExchange
from moovier.jobs.dataset import SNAPSHOT
from moovier.jobs.retrain_plan import data_folder, plan_file
from moovier.json_files import read_json, write_json
from tests.unit.jobs.toy_plan import plan_in, settings_in


class Store:
    """The artefacts of all runs, and the runs' status."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status: dict[str, str] = {}
        self.uploads: list[str] = []
        self.can_delete = True

    def artifacts(self, _uri: str, run_id: str) -> RunArtifacts:
        return RunArtifacts(self, run_id)


class RunArtifacts:
    def __init__(self, store: Store, run_id: str) -> None:
        self._store, self._run_id = store, run_id

    def _place(self, name: str) -> Path:
        return self._store.folder / self._run_id / name

    def list(self) -> dict[str, str]:
        folder = self._store.folder / self._run_id
        return {path.name: "" for path in folder.iterdir()} if folder.is_dir() else {}

    def publish(self, name: str, path: Path) -> None:
        self._store.uploads.append(name)
        target = self._place(name)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    def fetch(self, name: str, path: Path) -> bool:
        source = self._place(name)
        if not source.exists():
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, path)
        else:
            shutil.copyfile(source, path)
        return True

    def delete(self, name: str) -> None:
        if not self._store.can_delete:
            raise RegistryError("MLflow answered 403")
        shutil.rmtree(self._place(name))

    def status(self) -> str | None:
        if self._run_id == "away":
            raise RegistryUnavailable("MLflow does not answer")
        return self._store.status.get(self._run_id)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store(tmp_path / "mlflow")
    monkeypatch.setattr(artifact_exchange, "RunArtifacts", store.artifacts)
    return store


@pytest.fixture
def first(store: Store, tmp_path: Path) -> ArtifactExchange:
    """The exchange of a machine that has prepared a retraining."""
    exchange = on(tmp_path / "first")
    write_json(plan_file(exchange.folder), plan_in(tmp_path / "first").to_json())
    write_json(data_folder(exchange.folder) / SNAPSHOT, {})
    return exchange


@pytest.fixture
def second(store: Store, tmp_path: Path) -> ArtifactExchange:
    return on(tmp_path / "second")


def on(home: Path) -> ArtifactExchange:
    return ArtifactExchange.of(plan_in(home), settings_in(home))


def test_what_a_machine_prepared_is_uploaded_once_and_fetched_once(
    store: Store, first: ArtifactExchange, second: ArtifactExchange
) -> None:
    assert not second.fetch_prepared()
    first.publish_prepared()
    first.publish_prepared()
    assert store.uploads == ["prepared"]
    assert second.fetch_prepared()
    assert (data_folder(second.folder) / SNAPSHOT).exists()
    assert read_json(plan_file(second.folder))["key"] == "k"
    shutil.rmtree(store.folder)
    assert first.fetch_prepared()
    assert second.fetch_prepared(), "a stage with its input on its machine downloads nothing"


def test_a_decision_is_read_on_every_machine(
    first: ArtifactExchange, second: ArtifactExchange
) -> None:
    assert second.decision() is None
    first.save_decision({"promote": True})
    assert second.decision() == first.decision() == {"promote": True}


def test_a_decision_whose_upload_was_killed_is_uploaded(
    store: Store, first: ArtifactExchange, second: ArtifactExchange
) -> None:
    write_json(first.folder / "decision.json", {"promote": False})
    assert second.decision() is None
    assert first.decision() == {"promote": False}
    assert store.uploads == ["decision"]
    assert second.decision() == {"promote": False}


def test_a_finished_retraining_is_known_on_every_machine(
    first: ArtifactExchange, second: ArtifactExchange
) -> None:
    assert first.done() is None
    first.finish({"version": 3})
    assert second.done() == first.done() == {"version": 3}


@pytest.mark.parametrize("can_delete", [True, False])
def test_large_files_are_deleted_and_the_plan_stays(
    store: Store, first: ArtifactExchange, can_delete: bool
) -> None:
    first.publish_prepared()
    for name in ("candidates", "statistics"):
        (first.folder / name).mkdir()
    store.can_delete = can_delete
    first.delete_large_files()
    assert sorted(path.name for path in first.folder.iterdir()) == ["prepared"]
    assert not data_folder(first.folder).exists()
    assert plan_file(first.folder).exists()
    assert (store.folder / "r" / "prepared").exists() != can_delete


def test_a_fetch_deletes_large_files_of_retrainings_that_ended_elsewhere(
    store: Store, first: ArtifactExchange, second: ArtifactExchange
) -> None:
    store.status = {"ended": "FINISHED", "running": "RUNNING", "own": "FINISHED"}
    retrainings = second.folder.parent
    for run_id in ("ended", "running", "own", "away"):
        write_json(plan_file(retrainings / run_id), {"run_id": run_id})
        (retrainings / run_id / "candidates").mkdir()
    # This machine finished the stage and deleted its own files.
    write_json(retrainings / "own" / "done.json", {})
    (retrainings / "without a plan" / "candidates").mkdir(parents=True)
    first.publish_prepared()
    assert second.fetch_prepared()
    left = {path.parent.name for path in retrainings.glob("*/candidates")}
    assert left == {"running", "own", "away", "without a plan"}
    assert plan_file(second.folder).exists()


@pytest.mark.parametrize(("status", "finished"), [("FINISHED", True), ("FAILED", False)])
def test_a_retraining_is_finished_when_its_run_is(
    store: Store, tmp_path: Path, status: str, finished: bool
) -> None:
    store.status = {"r": status}
    assert artifact_exchange.finished(settings_in(tmp_path), "r") == finished
    assert not artifact_exchange.finished(settings_in(tmp_path), "deleted")
