"""Results of stages that another version of Moovier wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from moovier.errors import StaleResult
from moovier.jobs import batch, dvc_stages, ingest, monitor, retrain
from moovier.jobs.retrain_plan import RetrainConfig, RetrainPlan, plan_file
from moovier.json_files import write_json
from moovier.models.bundle import DataFacts
from moovier.settings import Settings

FACTS = DataFacts(name="toy", hash="a.dir", synthetic=True, ratings=9, users=3, movies=3)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    # Nothing listens there: stale results must be found before MLflow is asked.
    return Settings(home=tmp_path, project=tmp_path, mlflow_tracking_uri="http://127.0.0.1:9")


@pytest.fixture
def plan(settings: Settings) -> dict[str, Any]:
    return RetrainPlan.of(
        RetrainConfig.of({"families": ["ease"], "trials": 1}),
        settings,
        folder=settings.path("retrain", "k"),
        run_id="0" * 32,
        data=FACTS,
        first=True,
        recipe=None,
    ).to_json()


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != key}


@pytest.mark.parametrize("key", ["key", "hold_out", "work"])
def test_plan_of_another_version_asks_for_a_new_retraining(
    settings: Settings, plan: dict[str, Any], key: str
) -> None:
    assert RetrainPlan.from_json(plan, settings).key == "k"
    for stale in (without(plan, key), {**plan, f"old_{key}": 1}):
        with pytest.raises(StaleResult, match=rf"`prepare` .*{key}.*start a new retraining"):
            retrain.train(stale, "ease", settings=settings)


def test_candidate_and_decision_of_another_version_ask_for_a_new_retraining(
    settings: Settings, plan: dict[str, Any]
) -> None:
    with pytest.raises(StaleResult, match=r"`gate` .*missing: compared_with, .*stars_reason"):
        retrain.promote(plan, {"promote": True, "reasons": []}, settings=settings)
    write_json(settings.project / "pipeline" / "plan.json", plan)
    write_json(settings.project / "pipeline" / "candidates.json", [{"id": "ease-tuned"}])
    with pytest.raises(StaleResult, match=r"`train` .*recipe: Field required.*dvc repro --force"):
        dvc_stages.run_evaluate(settings)


def test_stale_plan_is_left_for_a_new_retraining_of_the_same_options(
    settings: Settings, plan: dict[str, Any]
) -> None:
    assert retrain._can_read_plan(settings, "k")
    write_json(plan_file(settings.path("retrain", "k")), plan)
    assert retrain._can_read_plan(settings, "k")
    write_json(plan_file(settings.path("retrain", "k")), without(plan, "seed"))
    assert not retrain._can_read_plan(settings, "k")


def test_other_jobs_name_the_stage_whose_result_is_stale(settings: Settings) -> None:
    plan = {"name": "n", "key": "k", "model": "m", "version": 1, "top_k": 5, "shards": 1}
    with pytest.raises(StaleResult, match=r"`prepare` .*shards: Field required.*new run"):
        batch.write(without(plan, "shards"), 0, settings=settings)
    with pytest.raises(StaleResult, match=r"`write` .*missing: users.*new run"):
        batch.finish(plan, [{"shard": 0, "rows": 5}], settings=settings)
    pulled: Any = {"name": "n", "folder": "f", "synthetic": 0, "source": "s", "note": ""}
    with pytest.raises(StaleResult, match=r"`pull` .*missing: hash.*clear `pull`"):
        ingest.validate(pulled, settings=settings)
    with pytest.raises(StaleResult, match=r"`check` .*missing: excess.*new check"):
        monitor.record_trigger({"at": 0, "data": {}, "champion": {}}, settings=settings)
