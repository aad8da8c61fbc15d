"""Write a trained model's folder and record for its registration as a version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moovier.errors import RegistryError
from moovier.models.bundle import Bundle, Card
from moovier.registry.client import Registry
from moovier.registry.gate import HoldOutResult
from moovier.registry.mlflow_export import save_model
from moovier.registry.model_record import FAMILY, RECIPE, ModelRecord
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from moovier.settings import Settings

#: What MLflow runs to load a version as a function.
_CODE = Path(__file__).with_name("pyfunc_model.py")
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


def run_url(settings: Settings, run_id: str) -> str:
    """Return the address of a run's page in MLflow."""
    mlflow = settings.mlflow_public_url or settings.mlflow_tracking_uri
    return f"{mlflow.rstrip('/')}/#/runs/{run_id}"


def write_model(folder: Path, model: Bundle, keras_model: Any) -> Path:
    """Write a version's MLflow model with its bundle into ``folder``; return it."""
    return save_model(folder, model, keras_model, _CODE)


def record_of(
    card: Card,
    tags: Mapping[str, str] | None = None,
    *,
    recipe: str | None = None,
    metrics: Mapping[str, float] | None = None,
) -> ModelRecord:
    """Return what MLflow's logged model holds about the model of ``card``.

    ``tags`` and ``metrics`` are added to those of the card. ``recipe``: kind of the recipe.
    """
    own_tags = {
        "family": card.family,
        "size": str(card.params["size"]),
        "trained": str(card.trained),
        "data_name": card.data.name,
        "data_hash": card.data.hash,
        "synthetic": str(card.data.synthetic).lower(),
        **(tags or {}),
    }
    params: dict[str, Any] = {FAMILY: card.family}
    if card.parent is not None:
        own_tags["parent"] = card.parent
    if recipe is not None:
        own_tags[RECIPE] = params[RECIPE] = recipe
    return ModelRecord(
        params={**params, **card.params},
        metrics={**card.metrics, **(metrics or {})},
        tags=own_tags,
    )


def candidate_id(version: Version) -> str:
    """Return the id of the candidate that was registered as ``version``.

    Raises:
        RegistryError: somebody removed the tag.
    """
    # The key holds the id as well.
    candidate = version.tags.get("candidate") or version.tags.get("key", "").partition(":")[2]
    if not candidate:
        raise RegistryError(
            f"{version.title} has no tag `candidate`, which this retraining set: start a new "
            "retraining"
        )
    return candidate


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
