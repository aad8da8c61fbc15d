"""The best new rating model replaces the current one, unless that is better on the same data."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from moovier.jobs import candidates
from moovier.jobs.comparison import better_rating_model
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.models.bundle import DataFacts
from moovier.registry.version import Version

HOLD_OUT = "toy.dir/visitor-next-visit-1"


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> RetrainPlan:
    """Return a plan with two trained candidates; the second has the smaller validation error."""
    trained = [
        SimpleNamespace(recipe=SimpleNamespace(id=name), validation_mae=mae)
        for name, mae in (("emb-10", 0.7), ("emb-25", 0.6))
    ]
    monkeypatch.setattr(candidates, "trained_candidates", lambda _plan: trained)
    return RetrainPlan(
        key="k",
        folder=Path("retrain/k"),
        run_id="r",
        data=DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=1, users=1, movies=1),
        hold_out=HOLD_OUT,
        champion=None,
        trials=1,
        families=("emb",),
        embedding_sizes=(10, 25),
        seed=0,
        work=(),
    )


def rater(number: int, candidate: str, rmse: float | None, hold_out: str = HOLD_OUT) -> Version:
    return Version(
        number=number,
        name=f"moovier_{candidate}",
        family="emb",
        run_id="r",
        aliases=(),
        tags={"candidate": candidate, "hold_out": hold_out},
        created_at=datetime.now(UTC),
        parent=None,
        metrics={} if rmse is None else {"rmse": rmse},
        status="READY",
    )


#: The best on the validation part is not the best on the hold-out.
NEW = [rater(1, "emb-10", 0.80), rater(2, "emb-25", 0.85)]


def test_first_rating_model_is_the_best_on_the_validation_part(plan: RetrainPlan) -> None:
    best, reason = better_rating_model(plan, None, NEW)
    assert best is NEW[1]
    assert reason == "stars: RMSE 0.8500, the first model that predicts them"


@pytest.mark.parametrize(("current_rmse", "replaced"), [(0.86, True), (0.85, False), (0.84, False)])
def test_better_model_replaces_the_current_one_on_the_same_hold_out(
    plan: RetrainPlan, current_rmse: float, replaced: bool
) -> None:
    best, reason = better_rating_model(plan, rater(0, "old", current_rmse), NEW)
    assert (best is NEW[1]) == replaced
    assert reason.startswith("stars: " if replaced else "kept: ")
    assert f"RMSE 0.8500 against {current_rmse:.4f} of moovier_old" in reason


def test_model_of_other_data_is_replaced(plan: RetrainPlan) -> None:
    best, reason = better_rating_model(plan, rater(0, "old", 0.1, "other.dir/1"), NEW)
    assert best is NEW[1]
    assert reason.endswith("moovier_old was trained on other data")


def test_no_new_rating_model_keeps_the_current_one(plan: RetrainPlan) -> None:
    assert better_rating_model(plan, rater(0, "old", 0.9), []) == (
        None,
        "no rating model was trained",
    )
