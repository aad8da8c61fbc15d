"""The texts about a retraining, for MLflow, for Airflow and for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from moovier.jobs.retrain_plan import RetrainConfig
from moovier.jobs.retraining_outcome import describe_candidates, explain, note, rejected, run_name
from moovier.settings import Settings

NOW = datetime(2026, 11, 25, 3, 17, tzinfo=UTC)
DECISION: dict[str, Any] = {
    "name": "moovier_dae_64_trained_0",
    "version": 7,
    "promote": True,
    "reasons": ["visitor: NDCG@10 0.43 against 0.33", "promoted: better than popularity"],
    "stars_reason": None,
}


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        (None, "retraining 2026-11-25 03:17, new ratings"),
        ("monitoring: age", "retraining 2026-11-25 03:17, monitoring: age"),
        ("line\n\nline", "retraining 2026-11-25 03:17, line line"),
        ("x" * 99, f"retraining 2026-11-25 03:17, {'x' * 59}…"),
    ],
)
def test_name_of_a_run_says_when_and_why(reason: str | None, name: str) -> None:
    assert run_name(RetrainConfig(reason=reason), "new ratings", NOW) == name


def test_explanation_begins_with_the_verdict() -> None:
    assert explain(DECISION) == (
        "promoted: better than popularity\n\n- visitor: NDCG@10 0.43 against 0.33"
    )
    assert explain({"reasons": ["kept: no user"]}) == "kept: no user"


def test_note_names_the_model_and_its_run() -> None:
    text = note({**DECISION, "stars_reason": "RMSE 0.84"}, "http://mlflow/#/runs/1")
    for part in ("moovier_dae_64_trained_0", "version 7", "RMSE 0.84", "http://mlflow/#/runs/1"):
        assert part in text


@pytest.mark.parametrize(("user", "name"), [(None, "a person"), ({"name": "Ada"}, "Ada")])
def test_rejected_promotion_keeps_the_champion_and_says_who(
    user: dict[str, str] | None, name: str
) -> None:
    decision = rejected(DECISION, user)
    assert decision["promote"] is False
    assert decision["reasons"][-1] == f"kept: {name} rejected the promotion"
    assert DECISION["promote"] is True


def test_log_of_a_training_has_metrics_and_the_run() -> None:
    candidate = {
        "card": {"name": "moovier_ease_1_trained_0", "metrics": {"rmse": 0.84, "other": 1.0}},
        "recipe": {"kind": "tuned"},
        "run_id": "abc",
    }
    settings = Settings(mlflow_public_url="http://mlflow.example/")
    assert describe_candidates([candidate], settings=settings) == (
        "moovier_ease_1_trained_0 (tuned): rmse 0.8400; MLflow: http://mlflow.example/#/runs/abc"
    )
