"""Train small models for benchmarks that measure speed, and register them."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import read_movielens, to_arrays
from moovier.jobs.registration import open_tracking, record_of, write_model
from moovier.models.bundle import Bundle, Card, DataFacts, display_name
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.registry.version import Version
from moovier.settings import Settings


def train(data: Path, name: str, size: int | None = None) -> tuple[Bundle, Any]:
    """Train a family for one epoch; return the bundle and the Keras model, if it has one.

    ``size`` is the embedding size; by default the family's. The speed of a model does not depend on
    the number of epochs.
    """
    movielens = read_movielens(data)
    index, ratings, catalogue = to_arrays(movielens)
    kind = family(name)
    sizes = {} if size is None else {"size": size}
    params = kind.hyper_parameters.model_validate(sizes)
    fitted = kind.fit(ratings, params, FitContext(catalogue, seed=0, epochs=1))
    card = Card(
        name=display_name(name, params.size, 0),
        family=name,
        params=params.model_dump(mode="json"),
        data=DataFacts(
            name=movielens.name,
            hash=directory_hash(data),
            synthetic=movielens.synthetic,
            ratings=len(ratings),
            users=ratings.n_users,
            movies=len(catalogue),
        ),
    )
    bundle = Bundle(card, index, ratings.histories, catalogue, fitted.arrays)
    return bundle, fitted.keras_model


def register(settings: Settings, folder: Path, data: Path, name: str, size: int) -> Version:
    """Train a model and register it without promoting it; ``folder`` is for temporary files."""
    bundle, keras_model = train(data, name, size)
    key = uuid.uuid4().hex
    tracking = open_tracking(settings)
    run_id = tracking.start(bundle.card.name, retraining=key, part="train")
    files = write_model(folder / key, bundle, keras_model)
    record = record_of(bundle.card)
    return tracking.register(files, bundle.card.name, run_id=run_id, key=key, record=record)
