"""How the stages of a retraining get what other machines made.

Each machine works in a folder of its own (``moovier.jobs.retrain_plan``). What a later stage needs
is handed on through the retraining's parent run in MLflow: what ``prepare`` made, the gate's
decision, and the end. Candidates are uploaded once, as what their registration points at, so a
later stage
reads the little that it needs from there. A stage that finds its parts here fetches nothing.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from moovier.errors import RegistryError
from moovier.jobs.retrain_plan import (
    DECISION,
    DONE,
    PREPARED,
    Plan,
    data_folder,
    folder_of,
    plan_file,
    read_json,
    write_json,
)
from moovier.models.bundle import CARD
from moovier.registry.run_artifacts import RunArtifacts
from moovier.settings import Settings

_PARTS = {PREPARED: PREPARED, "decision": DECISION, "done": DONE}


class ArtifactExchange:
    """What one retraining hands on between the machines that work on it.

    Every method raises RegistryUnavailable when MLflow does not answer.
    """

    def __init__(self, settings: Settings, key: str, run_id: str) -> None:
        self.folder = folder_of(settings, key)
        self._settings = settings
        self._parts = RunArtifacts(settings.mlflow_tracking_uri, run_id)

    @classmethod
    def of(cls, plan: Plan, settings: Settings) -> ArtifactExchange:
        return cls(settings, plan.key, plan.run_id)

    def prepared(self) -> bool:
        """Bring what ``prepare`` made, unless it is here; False where it did not finish."""
        if plan_file(self.folder).exists() and (data_folder(self.folder) / CARD).exists():
            return True
        if not self._parts.fetch(PREPARED, self.folder / PREPARED):
            return False
        _clear_up_after_others(self._settings, self.folder)
        return True

    def hand_on_prepared(self) -> None:
        """Let others have what ``prepare`` made here; nothing is sent twice."""
        if PREPARED not in self._parts.list():
            self._parts.publish(PREPARED, self.folder / PREPARED)

    def decision(self) -> dict[str, Any] | None:
        """What the gate said, here or elsewhere; None where it did not say it yet."""
        if (said := self._here_or_fetched("decision")) is not None:
            # It may have been killed between writing it here and handing it on.
            self._parts.publish("decision", self.folder / DECISION)
        return said

    def save_decision(self, said: Mapping[str, Any]) -> None:
        """Keep what the gate said and let others have it."""
        write_json(self.folder / DECISION, said)
        self._parts.publish("decision", self.folder / DECISION)

    def done(self) -> dict[str, Any] | None:
        """How it ended, here or elsewhere; None while it has not."""
        return self._here_or_fetched("done")

    def finish(self, said: Mapping[str, Any]) -> None:
        """Keep how it ended and let others know."""
        write_json(self.folder / DONE, said)
        self._parts.publish("done", self.folder / DONE)

    def clear_up(self) -> None:
        """Delete the big parts, here and in MLflow: all of it lies in the registry now."""
        for folder in (self.folder / "candidates", data_folder(self.folder)):
            shutil.rmtree(folder, ignore_errors=True)
        # Who may write need not be allowed to delete; it is a megabyte or two.
        with contextlib.suppress(RegistryError):
            self._parts.delete(PREPARED)

    def _here_or_fetched(self, name: str) -> dict[str, Any] | None:
        file = self.folder / _PARTS[name]
        said = read_json(file)
        if said is None and self._parts.fetch(name, file):
            said = read_json(file)
        return None if said is None else dict(said)


def finished(settings: Settings, run_id: str) -> bool:
    """Whether the retraining with this parent run has ended, on whatever machine."""
    return RunArtifacts(settings.mlflow_tracking_uri, run_id).status() == "FINISHED"


def _clear_up_after_others(settings: Settings, current: Path) -> None:
    """Delete what this machine fetched or trained for retrainings that ended elsewhere."""
    for folder in settings.path("retrain").glob("[!.]*"):
        plan = read_json(plan_file(folder))
        if plan is None or folder == current or (folder / DONE).exists():
            continue
        with contextlib.suppress(RegistryError):
            if finished(settings, plan["run_id"]):
                for big in (folder / "candidates", folder / PREPARED):
                    shutil.rmtree(big, ignore_errors=True)
