from __future__ import annotations

import json
from typing import Any

import numpy as np
import orjson
import pytest
from pydantic import ValidationError

from moovier.report.model_report import Interval, ModelReport, best_first

#: A report of an earlier version, shortened.
EARLIER: dict[str, Any] = {
    "name": "moovier_timeline_1_trained_0",
    "kind": "tuned",
    "fit_s": 3.5,
    "known": {
        "users": 610,
        "metrics": {"ndcg_at_10": 0.195, "recall_at_10": 0.18, "hit_at_10": 0.6},
        "low": 0.18,
        "high": 0.21,
        "segments": {"20+": [610, 0.195]},
    },
    "new": {"users": 122, "metrics": {"ndcg_at_10": 0.2}, "low": 0.1, "high": 0.3, "segments": {}},
    "stars": {},
    "gap": ["ndcg_at_10", 0.19, 0.2],
    "curves": {},
    "examples": [],
}


def test_report_survives_json(ease: ModelReport) -> None:
    assert ModelReport.model_validate_json(ease.model_dump_json()) == ease
    # The stages store it as JSON bytes.
    stored = orjson.dumps(ease.model_dump(mode="json"))
    assert ModelReport.model_validate(orjson.loads(stored)) == ease


def test_report_has_the_metrics_of_the_evaluation(ease: ModelReport) -> None:
    assert ease.visitor is not None
    assert ease.next_visit is not None
    assert ease.order_audit is not None
    assert ease.metrics["visitor_ndcg_at_10"] == pytest.approx(ease.visitor.ndcg.mean)
    assert ease.metrics["visitor_ndcg_at_10_k3"] == pytest.approx(ease.visitor.by_k[3].mean)
    assert ease.metrics["visitor_ndcg_at_10_k0"] == pytest.approx(ease.visitor.by_k[0].mean)
    assert 20 not in ease.visitor.by_k
    assert ease.metrics["next_visit_ndcg_at_10"] == pytest.approx(ease.next_visit.ndcg.mean)
    assert ease.metrics["order_audit_ndcg_at_10_shuffled"] == ease.order_audit.shuffled
    assert ease.visitor.ndcg.low < ease.visitor.ndcg.mean < ease.visitor.ndcg.high


def test_report_of_an_earlier_version_keeps_the_split_by_time() -> None:
    report = ModelReport.model_validate_json(json.dumps(EARLIER))
    assert report.by_time is not None
    assert (report.by_time.ndcg.mean, report.by_time.ndcg.people) == (0.195, 610)
    assert report.visitor is None
    assert report.next_visit is None
    assert report.gap is not None
    assert report.gap.retrained == 0.2


@pytest.mark.parametrize("known", [{}, None, {"metrics": {}}])
def test_unreadable_report_is_a_validation_error(known: Any) -> None:
    with pytest.raises(ValidationError):
        ModelReport.model_validate({**EARLIER, "known": known})


def test_interval_ignores_users_without_a_value() -> None:
    values = np.array([[0.2, np.nan], [np.nan, np.nan], [0.4, 0.9]])
    interval = Interval.of(values, 0)
    assert interval is not None
    assert interval.people == 2
    # The mean over columns of the mean over users.
    assert interval.mean == pytest.approx((0.3 + 0.9) / 2)
    assert Interval.of(np.full(3, np.nan), 0) is None


def test_models_are_sorted_by_visitors_then_next_visit_then_time(
    ease: ModelReport, popularity: ModelReport
) -> None:
    earlier = ModelReport.model_validate(EARLIER)
    only_next = popularity.model_copy(update={"name": "next", "visitor": None})
    bare = ModelReport(name="bare", kind="default", fit_s=0.0)
    models = best_first([bare, earlier, only_next, popularity, ease])
    assert [model.name for model in models] == [
        ease.name,
        popularity.name,
        "next",
        earlier.name,
        "bare",
    ]
