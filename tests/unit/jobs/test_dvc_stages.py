"""The files between the stages of `dvc.yaml`; tests/orchestration runs the stages with DVC."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from moovier.errors import BadRequest, UnknownData
from moovier.jobs import candidates, dvc_stages, ingest, retrain, tuning
from moovier.jobs.retrain_plan import RetrainConfig
from moovier.json_files import write_json
from moovier.report.model_report import ModelReport
from moovier.settings import Settings
from moovier.tuning import study as studies
from moovier.tuning.study import TrialReport
from tests.unit.jobs.test_candidates import candidate_of
from tests.unit.jobs.toy_plan import plan_in, settings_in


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "params.yaml").write_text("data: sample\ntrials: 3\nfamilies: [ease]\n")
    return settings_in(tmp_path)


def content_of(settings: Settings, name: str) -> Any:
    return json.loads((settings.project / "pipeline" / name).read_text())


def rows_of(settings: Settings, name: str) -> list[list[str]]:
    with (settings.project / "pipeline" / name).open(newline="") as file:
        return list(csv.reader(file))


def test_parameters_are_those_of_a_retraining_with_one_worker(settings: Settings) -> None:
    assert dvc_stages.read_params(settings) == RetrainConfig.of(
        {"data": "sample", "trials": 3, "families": ["ease"], "workers": 1}
    )
    (settings.project / "params.yaml").write_text("")
    assert dvc_stages.read_params(settings) == RetrainConfig(workers=1)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("trails: 3", "trails"), ("trials: 0", "trials"), ("a: [", r"params\.yaml cannot be read")],
)
def test_wrong_parameters_are_named(settings: Settings, text: str, problem: str) -> None:
    (settings.project / "params.yaml").write_text(text)
    with pytest.raises(BadRequest, match=problem):
        dvc_stages.read_params(settings)


def test_missing_parameters_say_which_setting_finds_them(settings: Settings) -> None:
    (settings.project / "params.yaml").unlink()
    with pytest.raises(BadRequest, match="set MOOVIER_PROJECT"):
        dvc_stages.read_params(settings)


def test_the_facts_of_the_data_have_no_paths(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = {"name": "sample", "hash": "a.dir", "synthetic": True, "folder": "/somewhere"}
    report = {"ratings": 9, "users": 3, "movies": 2, "problems": []}
    monkeypatch.setattr(ingest, "pull", lambda data, settings: {**pulled, "asked": data})
    monkeypatch.setattr(ingest, "validate", lambda pulled, settings: report)
    dvc_stages.run_ingest(settings)
    assert content_of(settings, "data.json") == {
        "name": "sample", "hash": "a.dir", "synthetic": True, "ratings": 9, "users": 3, "movies": 2
    }  # fmt: skip


def trial(number: int, value: float | None) -> TrialReport:
    return TrialReport(number, {}, value, "pruned" if value is None else "complete", {}, 1.0)


def tune(settings: Settings, monkeypatch: pytest.MonkeyPatch, hash_: str) -> dict[str, Any]:
    write_json(settings.project / "pipeline" / "data.json", {"hash": hash_})
    plan = plan_in(settings.project, families=("ease", "dae")).to_json()
    monkeypatch.setattr(retrain, "tune_all", lambda config, progress, settings: plan)
    trials = {
        "ease": [TrialReport(0, {}, 0.3, "complete", {}, 1.0)],
        "dae": [
            TrialReport(0, {}, 0.2, "complete", {}, 1.0),
            TrialReport(1, {}, None, "pruned", {}, 1.0),
        ],
    }
    monkeypatch.setattr(tuning, "study_of", lambda plan, family, settings: family)
    monkeypatch.setattr(studies, "finished_trials", lambda study, family: trials[family])
    dvc_stages.run_tune(settings, lambda _text: None)
    return plan


def test_every_trial_of_every_family_is_a_row(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tune(settings, monkeypatch, "toy.dir")
    assert content_of(settings, "plan.json") == plan
    assert rows_of(settings, "trials.csv") == [
        ["family", "trial", "state", "objective"],
        ["ease", "0", "complete", "0.3"],
        ["dae", "0", "complete", "0.2"],
        ["dae", "1", "pruned", ""],
    ]


def test_data_that_changed_since_the_first_stage_are_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnknownData, match=r"is toy\.dir now, but .* validated old\.dir"):
        tune(settings, monkeypatch, "old.dir")
    assert not (settings.project / "pipeline" / "plan.json").exists()


def report(name: str, visitor: float | None, rmse: float | None) -> ModelReport:
    def interval(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean, "high": mean, "people": 3}

    by_k = {5: interval(0.5), 0: interval(0.1)}
    ranking = visitor is not None and {"ndcg": interval(visitor), "debiased": 0.1, "by_k": by_k}
    stars = {} if rmse is None else {"rmse": rmse, "mae": rmse / 2}
    return ModelReport.model_validate(
        {"name": name, "kind": "tuned", "fit_s": 1.0, "visitor": ranking or None, "stars": stars}
    )


def test_metrics_have_the_best_ranking_model_by_validation(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = [
        candidate_of("ease-tuned").model_copy(update={"validation_ndcg": 0.2}),
        candidate_of("ease-50").model_copy(update={"validation_ndcg": 0.4}),
        # A rating model does not rank, however high its figure is.
        candidate_of("taste", "taste").model_copy(update={"validation_ndcg": 0.9}),
    ]
    reports = {
        "ease-tuned": report("a", 0.6, None),
        "ease-50": report("b", 0.3, None),
        "taste": report("c", None, 0.8),
    }
    pipeline = settings.project / "pipeline"
    write_json(pipeline / "plan.json", plan_in(settings.project).to_json())
    write_json(pipeline / "candidates.json", [item.model_dump(mode="json") for item in trained])
    monkeypatch.setattr(candidates, "report_of", lambda plan, item: reports[item.recipe.id])
    monkeypatch.setattr(candidates, "report_of_popularity", lambda plan: report("p", 0.25, None))
    dvc_stages.run_evaluate(settings)
    metrics = content_of(settings, "metrics.json")
    assert metrics["best"] == {"validation_ndcg_at_10": 0.4, "visitor_ndcg_at_10": 0.3}
    assert metrics["models"] == {
        "ease-50": {"visitor_ndcg_at_10": 0.3},
        "ease-tuned": {"visitor_ndcg_at_10": 0.6},
        "popularity": {"visitor_ndcg_at_10": 0.25},
        "taste": {"rmse": 0.8, "mae": 0.4},
    }
    header, *rows = rows_of(settings, "models.csv")
    assert header == ["model", "visitor_ndcg_at_10", "next_visit_ndcg_at_10", "rmse", "mae"]
    assert rows[-1] == ["taste", "", "", "0.8", "0.4"]
    assert rows_of(settings, "visitor.csv") == [
        ["ratings", "ndcg_at_10"],
        ["0", "0.1"],
        ["5", "0.5"],
    ]


def test_all_families_are_trained_in_the_order_of_the_plan(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_in(settings.project, families=("dae", "ease")).to_json()
    write_json(settings.project / "pipeline" / "plan.json", plan)

    def train(plan: Any, family: str, **_options: Any) -> list[str]:
        return [f"{family}-default", f"{family}-tuned"]

    monkeypatch.setattr(retrain, "train", train)
    dvc_stages.run_train(settings, lambda _text: None)
    assert content_of(settings, "candidates.json") == [
        "dae-default", "dae-tuned", "ease-default", "ease-tuned"
    ]  # fmt: skip


def test_a_promotion_uses_the_files_of_the_last_run(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = settings.project / "pipeline"
    write_json(pipeline / "plan.json", {"key": "k"})
    write_json(pipeline / "candidates.json", ["c"])
    steps = SimpleNamespace(
        register=lambda plan, trained, settings: [plan["key"], *trained],
        gate=lambda plan, versions, settings: {"versions": versions},
        promote=lambda plan, decision, settings: {**decision, "promoted": True},
    )
    for name, step in vars(steps).items():
        monkeypatch.setattr(retrain, name, step)
    assert dvc_stages.promote(settings) == {"versions": ["k", "c"], "promoted": True}


@pytest.mark.parametrize("stage", [dvc_stages.run_evaluate, dvc_stages.promote])
def test_a_stage_whose_input_is_missing_says_what_to_run(settings: Settings, stage: Any) -> None:
    with pytest.raises(BadRequest, match=r"pipeline/plan\.json does not exist: run `dvc repro`"):
        stage(settings)
