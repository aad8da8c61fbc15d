"""Pass the results of a retraining's stages between machines.

Each machine works in its own folder (``moovier.jobs.retrain_plan``). The retraining's parent run in
MLflow holds what later stages need: the output of ``prepare``, the gate's decision and the final
result. A candidate is uploaded once, as the artefacts of its version; later stages read its summary
from there. A stage whose input is on its own machine downloads nothing.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moovier.errors import RegistryError
from moovier.jobs.dataset import has_snapshot
from moovier.jobs.retrain_plan import (
    DECISION,
    DONE,
    PREPARED,
    STATISTICS,
    RetrainPlan,
    data_folder,
    folder_of,
    plan_file,
)
from moovier.json_files import read_json, write_json
from moovier.registry.run_artifacts import RunArtifacts
from moovier.settings import Settings

_FILES = {"decision": DECISION, "done": DONE}


class ArtifactExchange:
    """The shared artefacts of one retraining.

    Every method raises RegistryUnavailable when MLflow does not answer.
    """

    def __init__(self, settings: Settings, key: str, run_id: str) -> None:
        self.folder = folder_of(settings, key)
        self._settings = settings
        self._artifacts = RunArtifacts(settings.mlflow_tracking_uri, run_id)

    @classmethod
    def of(cls, plan: RetrainPlan, settings: Settings) -> ArtifactExchange:
        """Return the exchange of a plan's retraining."""
        return cls(settings, plan.key, plan.run_id)

    def fetch_prepared(self) -> bool:
        """Fetch the output of ``prepare`` if needed; return False if there is none."""
        if plan_file(self.folder).exists() and has_snapshot(data_folder(self.folder)):
            return True
        if not self._artifacts.fetch(PREPARED, self.folder / PREPARED):
            return False
        _delete_finished_elsewhere(self._settings, self.folder)
        return True

    def publish_prepared(self) -> None:
        """Upload the output of ``prepare``, once."""
        if PREPARED not in self._artifacts.list():
            self._artifacts.publish(PREPARED, self.folder / PREPARED)

    def decision(self) -> dict[str, Any] | None:
        """Return the gate's decision, or None if there is none yet."""
        decision = self._read_or_fetch("decision")
        if decision is not None:
            # A process may have been killed after writing the file, before uploading it.
            self._artifacts.publish("decision", self.folder / DECISION)
        return decision

    def save_decision(self, decision: Mapping[str, Any]) -> None:
        """Write and upload the gate's decision."""
        write_json(self.folder / DECISION, decision)
        self._artifacts.publish("decision", self.folder / DECISION)

    def done(self) -> dict[str, Any] | None:
        """Return the final result, or None if the retraining is not finished."""
        return self._read_or_fetch("done")

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write and upload the final result."""
        write_json(self.folder / DONE, result)
        self._artifacts.publish("done", self.folder / DONE)

    def delete_large_files(self) -> None:
        """Delete the data, the shared sums, and the candidates, which the registry has."""
        for folder in (
            self.folder / "candidates",
            self.folder / STATISTICS,
            data_folder(self.folder),
        ):
            shutil.rmtree(folder, ignore_errors=True)
        # The deletion permission is optional; the file has one or two megabytes.
        with contextlib.suppress(RegistryError):
            self._artifacts.delete(PREPARED)

    def _read_or_fetch(self, name: str) -> dict[str, Any] | None:
        file = self.folder / _FILES[name]
        content = read_json(file)
        if content is None and self._artifacts.fetch(name, file):
            content = read_json(file)
        return None if content is None else dict(content)


def finished(settings: Settings, run_id: str) -> bool:
    """Return whether the retraining of a parent run is finished, on any machine."""
    return RunArtifacts(settings.mlflow_tracking_uri, run_id).status() == "FINISHED"


def _delete_finished_elsewhere(settings: Settings, current: Path) -> None:
    """Delete large files of retrainings that other machines finished."""
    for folder in settings.path("retrain").glob("[!.]*"):
        plan = read_json(plan_file(folder))
        if plan is None or folder == current or (folder / DONE).exists():
            continue
        with contextlib.suppress(RegistryError):
            if finished(settings, plan["run_id"]):
                for large_folder in (
                    folder / "candidates",
                    folder / STATISTICS,
                    folder / PREPARED,
                ):
                    shutil.rmtree(large_folder, ignore_errors=True)
