"""A retraining's plan and settings for tests that need no MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moovier.jobs.retrain_plan import RetrainPlan, hold_out
from moovier.models.bundle import DataFacts
from moovier.settings import Settings

FACTS = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=9, users=3, movies=3)


def settings_in(home: Path, **changes: Any) -> Settings:
    """Return settings whose MLflow does not answer: nothing listens on port 9."""
    values = {"home": home, "project": home, "mlflow_tracking_uri": "http://127.0.0.1:9"}
    return Settings(**{**values, **changes})


def plan_in(home: Path, **changes: Any) -> RetrainPlan:
    """Return a plan in the folder of the retraining ``k``."""
    values: dict[str, Any] = {
        "key": "k",
        "folder": home / "retrain" / "k",
        "run_id": "r",
        "data": FACTS,
        "hold_out": hold_out(FACTS),
        "champion": None,
        "trials": 2,
        "families": ("ease",),
        "embedding_sizes": (10,),
        "seed": 0,
        "work": (),
    }
    return RetrainPlan(**{**values, **changes})
