"""The file that names the models served last, so that a restart works without MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from moovier.experiments.experiment import Experiment
from moovier.json_files import as_bytes, write_json
from moovier.serving.bundle_loader import LoadedModel, load
from moovier.serving.experiment_routing import ActiveExperiment

_NAME = "champion.json"


@dataclass(frozen=True)
class SavedModels:
    """The content of the file; each method loads one model from ``folder``.

    The methods raise KeyError, TypeError, ValueError or MoovierError where the file or a bundle is
    damaged.
    """

    folder: Path
    content: dict[str, Any]

    def names(self) -> list[str]:
        """Return the names of all models that were registered, newest first."""
        return [str(name) for name in self.content["names"]]

    def champion(self) -> LoadedModel:
        """Load the champion."""
        return self._load(self.content)

    def stars(self) -> LoadedModel | None:
        """Load the rating model; None if there was none."""
        saved = self.content.get("stars")
        return self._load(saved) if saved else None

    def experiment(self, champion: LoadedModel) -> ActiveExperiment | None:
        """Load the challenger and return its experiment; None if there was none."""
        saved = self.content.get("trial")
        if not saved:
            return None
        plan = Experiment.parse(saved["plan"])
        return ActiveExperiment.of(plan, champion, self._load(saved["challenger"]))

    def _load(self, saved: dict[str, Any]) -> LoadedModel:
        return load(self.folder / saved["folder"], saved["number"], saved["name"])


def read(folder: Path) -> SavedModels:
    """Read the file in ``folder``.

    Raises:
        FileNotFoundError: no champion was served yet.
        OSError: the file cannot be read.
        ValueError: the file is not JSON.
    """
    return SavedModels(folder, orjson.loads((folder / _NAME).read_bytes()))


def copy_first(source: Path, folder: Path) -> None:
    """Copy the file and the bundles of ``source`` to ``folder``, unless it has served a model."""
    if (folder / _NAME).exists():
        return
    bundles = [path for path in source.iterdir() if path.is_dir()]
    for bundle in bundles:
        shutil.copytree(bundle, folder / bundle.name, dirs_exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / _NAME, orjson.loads((source / _NAME).read_bytes()))


def write(
    folder: Path,
    names: Sequence[str] | None,
    champion: LoadedModel,
    stars: LoadedModel | None,
    experiment: ActiveExperiment | None,
) -> None:
    """Write the file atomically, if its content changes."""
    content = {
        **champion.to_json(),
        "names": names,
        "stars": None if stars is None else stars.to_json(),
        "trial": None if experiment is None else experiment.to_json(),
    }
    file = folder / _NAME
    if not (file.exists() and file.read_bytes() == as_bytes(content)):
        write_json(file, content)
