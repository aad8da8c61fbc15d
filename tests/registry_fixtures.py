"""Models that tests register in a real registry."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import httpx

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens, to_arrays
from moovier.jobs.registration import open_tracking, record_of, write_model
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.registry.client import Registry
from moovier.registry.version import Version
from moovier.settings import Settings


def register(settings: Settings, folder: Path, model: Bundle, keras_model: Any = None) -> Version:
    """Register ``model`` without promoting it. ``folder`` takes the temporary files."""
    name, key = model.card.name, uuid.uuid4().hex
    tracking = open_tracking(settings)
    run_id = tracking.start(name, retraining=key, part="train")
    model_folder = write_model(folder / key, model, keras_model)
    return tracking.register(
        model_folder, name, run_id=run_id, key=key, record=record_of(model.card)
    )


def register_trained(
    settings: Settings, folder: Path, data: Path, family_name: str, size: int
) -> Version:
    """Train a family for one epoch on the MovieLens folder ``data``, and register the model."""
    movielens = read_movielens(data)
    index, ratings, catalogue = to_arrays(movielens)
    kind = family(family_name)
    params = kind.hyper_parameters(size=size)
    fitted = kind.fit(ratings, params, FitContext(catalogue, seed=0, epochs=1))
    facts = DataFacts(
        name=movielens.name,
        hash=directory_hash(data),
        synthetic=movielens.synthetic,
        ratings=len(ratings),
        users=int(index.users.size),
        movies=len(catalogue),
    )
    card = Card(
        name=display_name(family_name, size, 0),
        family=family_name,
        params=params.model_dump(mode="json"),
        data=facts,
    )
    model = Bundle(card, index, ratings.histories, catalogue, fitted.arrays)
    return register(settings, folder, model, fitted.keras_model)


def register_by_hand(registry: Registry) -> int:
    """Register a version as MLflow's page does, without a bundle and tags; return its number."""
    api = f"{registry.address}/api/2.0/mlflow"
    httpx.post(f"{api}/registered-models/create", json={"name": registry.model_name})
    body = {"name": registry.model_name, "source": "s3://bucket/model"}
    answer = httpx.post(f"{api}/model-versions/create", json=body).raise_for_status()
    return int(answer.json()["model_version"]["version"])


def set_alias_by_hand(registry: Registry, alias: str, number: int) -> None:
    """Set an alias as MLflow's page does."""
    body = {"name": registry.model_name, "alias": alias, "version": str(number)}
    url = f"{registry.address}/api/2.0/mlflow/registered-models/alias"
    httpx.post(url, json=body).raise_for_status()
