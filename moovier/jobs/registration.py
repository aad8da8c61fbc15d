"""Write a trained model's folder and tags for its registration as a version."""

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

#: File beside the bundle: each hold-out user's result, for paired comparisons.
EVALUATION = "evaluation.npz"
#: File beside the bundle: the model's part of the retraining's report.
REPORT = "figures.json"

#: Arrays of a stored result; see :class:`moovier.registry.gate.HoldOutResult`.
_RESULT_ARRAYS = (
    "users",
    "ndcg",
    "visitor_users",
    "visitor_ndcg",
    "next_visit_users",
    "next_visit_ndcg",
)


def open_registry(settings: Settings) -> Registry:
    """Return the registry that the settings name."""
    return Registry(settings.mlflow_tracking_uri, settings.registered_model)


def open_tracking(settings: Settings) -> Tracking:
    """Return the experiment in which runs are logged.

    Raises:
        RegistryUnavailable: MLflow does not answer.
    """
    return Tracking(open_registry(settings), settings.mlflow_tracking_uri, settings.experiment)


def write_model(folder: Path, model: Bundle, keras_model: Any) -> Path:
    """Write a version's Keras model and bundle into ``folder``; return it."""
    if keras_model is not None:
        save_keras(keras_model, folder)
    bundle.save(model, folder / BUNDLE)
    return folder


def tags_of(card: Card, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the tags of every version, and ``extra``."""
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
    """Write a result on the hold-out and return ``file``."""
    arrays = {name: getattr(result, name) for name in _RESULT_ARRAYS}
    np.savez(file, allow_pickle=False, **arrays)
    return file


def read_evaluation(file: Path, name: str) -> HoldOutResult:
    """Return the result that :func:`write_evaluation` wrote, with the name ``name``.

    A result that an earlier version stored has only the split by time.
    """
    with np.load(file, allow_pickle=False) as archive:
        arrays = {part: archive[part] for part in _RESULT_ARRAYS if part in archive.files}
    return HoldOutResult(name, **arrays)
