from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from moovier.registry.client import Registry
from moovier.registry.model_record import ModelRecord
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from tests.fixtures import toy_model
from tests.servers import Server

Publish = Callable[..., Version]


@pytest.fixture
def registry(mlflow: Server) -> Registry:
    """Return the registry of an empty registered model for this test."""
    return Registry(mlflow.address, f"moovier-{uuid.uuid4().hex[:8]}")


@pytest.fixture
def tracking(mlflow: Server, registry: Registry) -> Tracking:
    return Tracking(registry, mlflow.address, registry.model_name)


@pytest.fixture
def publish(tracking: Tracking, tmp_path: Path) -> Publish:
    """Return a function that registers a toy model as a new version."""

    def publish(name: str = "moovier_popular_1_trained_0", **tags: str) -> Version:
        key = uuid.uuid4().hex
        run_id = tracking.start(name, retraining=key, part="train")
        folder = toy_model(tmp_path / key, name)
        return tracking.register(
            folder, name, run_id=run_id, key=key, record=ModelRecord(tags=tags)
        )

    return publish
