from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from moovier.cli.evaluate import evaluate
from moovier.jobs import evaluate as job
from moovier.jobs.evaluate import EvaluationReport
from moovier.models.bundle import DataFacts
from moovier.report.model_report import (
    Interval,
    ModelReport,
    OrderAuditReport,
    RankingReport,
    VisitorReport,
)

LONG = "moovier_timeline_128_trained_12"
FACTS = DataFacts(
    name="ml-latest-small", hash="x.dir", synthetic=True, ratings=100_836, users=610, movies=9742
)


def interval(mean: float, users: int) -> Interval:
    return Interval(mean=mean, low=mean - 0.03, high=mean + 0.03, people=users)


def ranked(mean: float, users: int) -> RankingReport:
    names = ("ndcg", "debiased_ndcg", "recall", "hit", "coverage")
    metrics = {f"{name}_at_10": mean / 2 for name in names}
    return RankingReport(ndcg=interval(mean, users), metrics=metrics)


def ranking_model() -> ModelReport:
    by_k = {k: interval(0.4 + k / 100, 121) for k in (0, 1, 3, 5, 10)}
    return ModelReport(
        name=LONG,
        kind="version 3",
        fit_s=1.0,
        visitor=VisitorReport(ndcg=interval(0.431, 121), debiased=0.105, by_k=by_k),
        next_visit=ranked(0.122, 235),
        order_audit=OrderAuditReport(
            people=122,
            as_rated=0.195,
            within_sittings=0.13,
            shuffled=0.101,
            overlap_within_sittings=0.6,
            overlap_shuffled=0.5,
        ),
        by_time=ranked(0.19, 610),
        global_time=ranked(0.2, 27),
        curves={"loss": [0.5]},
    )


def rating_model() -> ModelReport:
    return ModelReport(name="taste", kind="default", fit_s=1.0, stars={"rmse": 0.788, "mae": 0.601})


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a function that runs the command on a prepared report and returns its output."""

    def run(*models: ModelReport, as_json: bool = False) -> tuple[str, str]:
        def prepared(model: str | None, **options: Any) -> EvaluationReport:
            options["on_progress"]("training")
            return EvaluationReport(
                data=FACTS, model=model, version=3, seed=1, split_seed=2, models=list(models)
            )

        monkeypatch.setattr(job, "evaluate", prepared)
        monkeypatch.setenv("COLUMNS", "80")
        evaluate(LONG, as_json=as_json)
        printed = capsys.readouterr()
        return printed.out, printed.err

    return run


def test_tables_fit_80_columns_and_show_every_metric(
    run: Callable[..., tuple[str, str]],
) -> None:
    out, err = run(ranking_model(), rating_model())
    assert all(len(line) <= 80 for line in out.splitlines())
    assert err == "training\n"
    assert "without the users and ratings of its test set" in " ".join(out.split())
    assert "SYNTHETIC" in out
    rows = [line.split() for line in out.splitlines() if line.startswith("moovier_timeline_")]
    visitor, next_visit, debiased, audit, by_time, global_time = (row[1:] for row in rows)
    assert visitor == ["0.431", "0.401–0.461", "0.400", "0.410", "0.430", "0.450", "0.500", "–"]
    assert next_visit == ["0.122", "0.092–0.152", "0.061", "0.061", "0.061"]
    assert debiased == ["0.105", "0.061"]
    assert audit == ["0.195", "0.130", "0.101", "0.600", "0.500"]
    assert by_time == ["0.190", "0.160–0.220"]
    assert global_time == ["0.200", "0.170–0.230"]
    assert ["taste", "0.788", "0.601"] in [line.split() for line in out.splitlines()]
    headings = [line for line in out.splitlines() if "users; " in line]
    assert headings[0] == "Visitors: NDCG@10; 121 users; decides"
    assert headings[1] == "Next visit; 235 users; decides"
    assert all(line.endswith("reported") for line in headings[2:])


def test_protocols_without_users_have_no_table(run: Callable[..., tuple[str, str]]) -> None:
    out, _ = run(rating_model())
    assert "Visitors" not in out
    assert "Order audit" not in out
    assert "Stars" in out


def test_json_is_one_object_without_curves_and_examples(
    run: Callable[..., tuple[str, str]],
) -> None:
    out, err = run(ranking_model(), as_json=True)
    report = json.loads(out)
    assert err == "training\n"
    assert (report["model"], report["version"], report["split_seed"]) == (LONG, 3, 2)
    model = report["models"][0]
    assert model["visitor"]["by_k"]["10"]["mean"] == pytest.approx(0.5)
    assert model["next_visit"]["ndcg"]["people"] == 235
    assert "curves" not in model
    assert "examples" not in model
