"""The file that names the models served last, so that a restart works without MLflow."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from moovier.errors import MoovierError
from moovier.experiments.experiment import Experiment
from moovier.json_files import as_bytes, write_json
from moovier.serving.bundle_loader import LoadedModel, load
from moovier.serving.experiment_routing import ActiveExperiment

logger = logging.getLogger(__name__)

_NAME = "champion.json"


@dataclass
class Restored:
    """The models that were served last, without those that are damaged or missing."""

    names: list[str] | None = None
    champion: LoadedModel | None = None
    stars: LoadedModel | None = None
    experiment: ActiveExperiment | None = None


def restore(folder: Path) -> Restored:
    """Load the models that the file in ``folder`` names.

    Each part is loaded by itself, so a damaged rating model does not prevent the champion. The log
    names the parts that cannot be used.
    """
    restored = Restored()
    try:
        content: dict[str, Any] = orjson.loads((folder / _NAME).read_bytes())
    except FileNotFoundError:
        return restored
    except (OSError, ValueError) as error:
        logger.warning("the list of the models kept on disk cannot be read: %s", error)
        return restored
    with _logged("the names"):
        restored.names = [str(name) for name in content["names"]]
    with _logged("the champion"):
        restored.champion = _load(folder, content)
    with _logged("the rating model"):
        restored.stars = _load(folder, content["stars"]) if content.get("stars") else None
    champion = restored.champion
    with _logged("the experiment"):
        saved = content.get("trial")
        if champion is not None and saved:
            plan = Experiment.parse(saved["plan"])
            challenger = _load(folder, saved["challenger"])
            restored.experiment = ActiveExperiment.of(plan, champion, challenger)
    return restored


@contextlib.contextmanager
def _logged(part: str) -> Iterator[None]:
    """Log an error of the file or of a bundle, and go on."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError, AttributeError, MoovierError) as error:
        logger.warning("%s kept on disk cannot be used: %r", part, error)


def _load(folder: Path, saved: Mapping[str, Any]) -> LoadedModel:
    return load(folder / saved["folder"], int(saved["number"]), str(saved["name"]))


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
