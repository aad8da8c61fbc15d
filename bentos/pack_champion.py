"""Stores the registry's champion as a BentoML model, which the next `bentoml build` packs.

python -m bentos.pack_champion && bentoml build
"""

from __future__ import annotations

import sys
from pathlib import Path

import bentoml

from bentos.bento import MODEL
from moovier.errors import RegistryError
from moovier.registry.client import Registry
from moovier.serving.model_store import ModelStore
from moovier.settings import Settings, load_settings


def store_champion(settings: Settings) -> str:
    """Store the champion and return the tag of the BentoML model.

    Raises:
        RegistryError: there is no champion, or MLflow does not answer.
    """
    with bentoml.models.create(MODEL) as model:
        registry = Registry(settings.mlflow_tracking_uri, settings.registered_model)
        store = ModelStore(registry, Path(model.path), capacity=1)
        try:
            store.refresh()
        finally:
            store.close()
        champion = store.champion
        if champion is None:
            raise RegistryError(
                store.registry_error or "there is no champion to pack; train one with `moovier up`"
            )
        model.info.labels.update(name=champion.name, version=str(champion.number))
    return str(model.tag)


if __name__ == "__main__":
    try:
        sys.stdout.write(store_champion(load_settings()) + "\n")
    except RegistryError as error:
        sys.exit(str(error))
