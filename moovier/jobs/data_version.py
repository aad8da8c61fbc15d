"""Find the data set that a model was trained on."""

from __future__ import annotations

from pathlib import Path

from moovier.data import dvc_remote
from moovier.data.sources import SAMPLE
from moovier.errors import DataUnavailable
from moovier.jobs.registration import open_registry
from moovier.settings import Settings


def write_pointer(model: str, settings: Settings) -> Path:
    """Write a DVC pointer to a model's data set into ``data/`` of the checkout; return its path.

    `dvc pull` of the pointer then fetches exactly these rows from the DVC remote. ``model``: name,
    alias or version number.

    Raises:
        UnknownModel: no model has this name.
        DataUnavailable: the model has no data hash, or its data set is generated.
    """
    version = open_registry(settings).resolve(model)
    hash_, name = version.tags.get("data_hash"), version.tags.get("data_name", "")
    if hash_ is None:
        raise DataUnavailable(
            f"{version.name} (version {version.number}) has no tag `data_hash`, which names its "
            "data set; choose another model"
        )
    if name == SAMPLE:
        raise DataUnavailable(
            f"{version.name} was trained on the generated sample ({hash_}), which no DVC remote "
            "has; `MOOVIER_DATA=sample moovier data pull` generates it again"
        )
    return dvc_remote.write_pointer(settings.project, f"{name}-{hash_[:8]}", hash_)
