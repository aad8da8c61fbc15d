"""From a trained model to a version: what its folder holds and which tags it carries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moovier.models import bundle
from moovier.models.bundle import Bundle, Card
from moovier.registry.client import BUNDLE, Registry
from moovier.registry.gate import HoldOutResult
from moovier.registry.keras_export import save_keras
from moovier.registry.tracking import Tracking
from moovier.settings import Settings

#: Beside the bundle: each hold-out user's result, for paired comparisons later.
EVALUATION = "evaluation.npz"
#: Beside it: what the page of a retraining says of the model.
FIGURES = "figures.json"

#: Arrays of a stored result, as in :class:`moovier.registry.gate.HoldOutResult`.
_RESULT_ARRAYS = (
    "users",
    "ndcg",
    "visitor_users",
    "visitor_ndcg",
    "next_visit_users",
    "next_visit_ndcg",
)


def open_registry(settings: Settings) -> Registry:
    """The registry that the settings name."""
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def open_tracking(settings: Settings) -> Tracking:
    """Where runs are logged.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    return Tracking(open_registry(settings), settings.mlflow_tracking_uri, settings.experiment)


def write_model(folder: Path, model: Bundle, keras_model: Any) -> Path:
    """Write all that a version holds into ``folder``: MLflow's Keras model and the bundle."""
    if keras_model is not None:
        save_keras(keras_model, folder)
    bundle.save(model, folder / BUNDLE)
    return folder


def tags_of(card: Card, extra: Mapping[str, str]) -> dict[str, str]:
    """The tags that every version carries (docs/architecture.md), and ``extra``."""
    tags = {
        "family": card.family,
        "size": str(card.params["size"]),
        "trained": str(card.trained),
        "params": json.dumps(card.params, sort_keys=True),
        "metrics": json.dumps(card.metrics, sort_keys=True),
        "data_name": card.data.name,
        "data_hash": card.data.hash,
        "synthetic": str(card.data.synthetic).lower(),
        **extra,
    }
    if card.parent is not None:
        tags["parent"] = card.parent
    if "ndcg_at_10" in card.metrics:
        tags["ndcg_at_10"] = f"{card.metrics['ndcg_at_10']:.6f}"
    return tags


def write_evaluation(file: Path, result: HoldOutResult) -> Path:
    """Write a result on the hold-out; return ``file``."""
    arrays = {name: getattr(result, name) for name in _RESULT_ARRAYS}
    np.savez(file, allow_pickle=False, **arrays)
    return file


def read_evaluation(file: Path, name: str) -> HoldOutResult:
    """Read what :func:`write_evaluation` wrote, under ``name``.

    A result that an earlier version stored holds the split by time only.
    """
    with np.load(file, allow_pickle=False) as archive:
        arrays = {part: archive[part] for part in _RESULT_ARRAYS if part in archive.files}
    return HoldOutResult(name, **arrays)
