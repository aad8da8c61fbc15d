from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from moovier.settings import Settings
from tests.servers import Server


@pytest.fixture
def settings(mlflow: Server, tmp_path: Path) -> Settings:
    """Return settings with a home and an empty registered model for this test."""
    own = f"moovier-{uuid.uuid4().hex[:8]}"
    return Settings(
        home=tmp_path / "home",
        mlflow_tracking_uri=mlflow.address,
        registered_model=own,
        experiment=own,
    )
