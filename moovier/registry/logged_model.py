"""Write the record of a model to MLflow's logged model, with the ``mlflow`` library."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from moovier.models.bundle import DataFacts
from moovier.registry.model_record import ModelRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_metrics(
    client: MlflowClient, run_id: str, model_id: str, record: ModelRecord, data: DataFacts | None
) -> None:
    """Log the record's metrics for the model and its run, linked to ``data``."""
    from mlflow.entities import Metric

    now_ms = int(time.time() * 1000)
    metrics = [
        Metric(
            key,
            value,
            now_ms,
            0,
            model_id=model_id,
            dataset_name=None if data is None else data.name,
            dataset_digest=None if data is None else data.hash,
        )
        for key, value in record.finite_metrics().items()
    ]
    if metrics:
        client.log_batch(run_id, metrics=metrics)


def complete(
    client: MlflowClient, model: Any, run_id: str, record: ModelRecord, data: DataFacts | None
) -> None:
    """Add the record to a model that an earlier Moovier uploaded without one.

    An upgrade in the middle of a retraining leaves such models. Without the record their versions
    would have no hyper-parameters, no metrics and no hold-out.
    """
    if tags := {key: value for key, value in record.tags.items() if key not in model.tags}:
        client.set_logged_model_tags(model.model_id, tags)
    params = record.param_texts()
    if missing := {key: value for key, value in params.items() if key not in model.params}:
        client.log_model_params(model.model_id, missing)
    if not model.metrics:
        log_metrics(client, run_id, str(model.model_id), record, data)
