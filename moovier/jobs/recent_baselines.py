"""Baselines of what is popular now, reported beside popularity in every evaluation.

They decide nothing: the gate compares with popularity, whose window is the best one on validation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from moovier.data.split import development_split
from moovier.jobs.dataset import Dataset
from moovier.jobs.retrain_plan import PREPARED, RetrainPlan
from moovier.json_files import read_json, write_json
from moovier.models.popular import NAME as POPULAR
from moovier.models.popular import PopularParams
from moovier.report.model_report import BASELINE, ModelReport
from moovier.training import fit, protocols

#: Name to the hyper-parameters of the family `popular`.
RECENT_BASELINES: dict[str, dict[str, Any]] = {
    "popular, 30 days": {"days": 30},
    "trending, 30 days": {"days": 30, "rising": True},
}


def evaluate_recent(plan: RetrainPlan, data: Dataset) -> None:
    """Evaluate the baselines on the hold-out of a retraining, and store their reports."""
    split = development_split(data.ratings)
    reports = []
    for name, values in RECENT_BASELINES.items():
        params = PopularParams.model_validate(values)
        trained = fit.train(
            split, POPULAR, params, catalogue=data.catalogue, seed=plan.seed, threads=1
        )
        evaluation = protocols.evaluate(
            trained, data.ratings, catalogue=data.catalogue, reported=False
        )
        report = ModelReport.of(name, BASELINE, evaluation, seed=plan.seed, params=values)
        reports.append(report.model_dump(mode="json"))
    write_json(_file(plan), reports)


def recent_reports(plan: RetrainPlan) -> list[ModelReport]:
    """Return the stored reports; none in a retraining of an earlier version."""
    return [ModelReport.model_validate(report) for report in read_json(_file(plan)) or []]


def _file(plan: RetrainPlan) -> Path:
    return plan.folder / PREPARED / "recent_baselines.json"
