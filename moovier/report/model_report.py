"""One model's metrics in a report, as values that the stages store as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values, bootstrap
from moovier.evaluation.order_audit import OrderAudit
from moovier.evaluation.ranking import RankingResult
from moovier.evaluation.visitor import KS, VisitorResult
from moovier.report.examples import Example
from moovier.training.protocols import Evaluation

#: The popularity baseline, as ``name`` and ``kind`` of a report.
POPULARITY, BASELINE = "popularity", "baseline"


class Interval(BaseModel):
    """A mean over users with its 95 % bootstrap interval, all 0 to 1.

    ``people``: the number of users.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    mean: float
    low: float
    high: float
    people: int

    @classmethod
    def of(cls, values: Values, seed: int) -> Interval | None:
        """Summarise values per user, (n,) or (n, m); return None if every value is NaN."""
        present = ~np.isnan(values.reshape(values.shape[0], -1))
        people = int(present.any(axis=1).sum())
        if not people:
            return None
        low, high = bootstrap(values, seed)
        return cls(mean=metrics.mean(values), low=low, high=high, people=people)


class VisitorReport(BaseModel):
    """NDCG@10 of visitors: the mean over k with its interval, and each k, 0 included.

    ``debiased``: the mean with lower gains for popular movies. ``by_k``: number of ratings to
    NDCG@10, without the k for which no user has enough ratings.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    ndcg: Interval
    debiased: float
    by_k: dict[int, Interval]

    @classmethod
    def of(cls, result: VisitorResult, seed: int) -> VisitorReport | None:
        """Summarise a result; return None if no user has a value."""
        ndcg = Interval.of(result.ndcg, seed)
        if ndcg is None:
            return None
        columns = {0: result.ndcg_k0, **{k: result.ndcg[:, i] for i, k in enumerate(KS)}}
        by_k = {k: Interval.of(values, seed) for k, values in columns.items()}
        return cls(
            ndcg=ndcg,
            debiased=metrics.mean(result.debiased),
            by_k={k: interval for k, interval in by_k.items() if interval is not None},
        )


class RankingReport(BaseModel):
    """NDCG@10 with its interval, other means, and NDCG@10 by length of history.

    ``metrics``: as :meth:`moovier.evaluation.ranking.RankingResult.metrics`. ``segments``: number
    of users and mean NDCG@10.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    ndcg: Interval
    metrics: dict[str, float]
    segments: dict[str, tuple[int, float]] = {}

    @classmethod
    def of(cls, result: RankingResult, seed: int) -> RankingReport | None:
        """Summarise a result; return None if no user has a value."""
        ndcg = Interval.of(result.ndcg, seed)
        if ndcg is None:
            return None
        return cls(ndcg=ndcg, metrics=result.metrics(), segments=result.segments())


class OrderAuditReport(BaseModel):
    """Mean NDCG@10 under three orders of a history, and overlap of the lists, 0 to 1.

    ``people``: the number of users.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    people: int
    as_rated: float
    within_sittings: float
    shuffled: float
    overlap_within_sittings: float
    overlap_shuffled: float

    @classmethod
    def of(cls, result: OrderAudit) -> OrderAuditReport:
        """Summarise a result."""
        return cls(
            people=int(result.users.size),
            as_rated=metrics.mean(result.as_rated),
            within_sittings=metrics.mean(result.within_sittings),
            shuffled=metrics.mean(result.shuffled),
            overlap_within_sittings=metrics.mean(result.overlap_within_sittings),
            overlap_shuffled=metrics.mean(result.overlap_shuffled),
        )


class GapReport(NamedTuple):
    """A metric, fine-tuned and retrained.

    ``figure``: its name, as in :class:`moovier.training.protocols.Gap`.
    """

    figure: str
    fine_tuned: float
    retrained: float


class ModelReport(BaseModel):
    """One model in a report; a protocol is None if it was not evaluated.

    ``kind``: how the recipe was chosen, such as ``tuned``. ``fit_s``: training time in seconds.
    ``stars``: RMSE and MAE of a rating family. ``metrics``: all of
    :meth:`moovier.training.protocols.Evaluation.metrics`. ``curves``: one value per epoch for each
    metric.

    A report of an earlier version is read as far as it has the current protocols.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    kind: str
    fit_s: float
    visitor: VisitorReport | None = None
    next_visit: RankingReport | None = None
    order_audit: OrderAuditReport | None = None
    by_time: RankingReport | None = None
    global_time: RankingReport | None = None
    stars: dict[str, float] = {}
    gap: GapReport | None = None
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    curves: dict[str, list[float]] = {}
    examples: list[Example] = []

    @model_validator(mode="before")
    @classmethod
    def _read_earlier_versions(cls, stored: Any) -> Any:
        """Read ``known``, the split by time in reports of earlier versions."""
        if not isinstance(stored, dict) or "known" not in stored or "by_time" in stored:
            return stored
        try:
            known = stored["known"]
            ndcg = {
                "mean": known["metrics"]["ndcg_at_10"],
                "low": known["low"],
                "high": known["high"],
                "people": known["users"],
            }
            by_time = {"ndcg": ndcg, "metrics": known["metrics"], "segments": known["segments"]}
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a stored report: {error!r}") from error
        return {**stored, "by_time": by_time}

    @classmethod
    def of(
        cls,
        name: str,
        kind: str,
        evaluation: Evaluation,
        *,
        params: Mapping[str, Any] | None = None,
        fit_s: float = 0.0,
        seed: int = 0,
        curves: dict[str, list[float]] | None = None,
        examples: Sequence[Example] = (),
    ) -> ModelReport:
        """Summarise an evaluation.

        ``seed``: for the bootstrap intervals.
        """

        def report_of(result: RankingResult | None) -> RankingReport | None:
            return None if result is None else RankingReport.of(result, seed)

        visitor, audit = evaluation.visitor, evaluation.order_audit
        gap, stars = evaluation.gap, evaluation.stars
        return cls(
            name=name,
            kind=kind,
            fit_s=fit_s,
            visitor=None if visitor is None else VisitorReport.of(visitor, seed),
            next_visit=report_of(evaluation.next_visit),
            order_audit=None if audit is None else OrderAuditReport.of(audit),
            by_time=report_of(evaluation.by_time),
            global_time=report_of(evaluation.global_time),
            stars={} if stars is None else stars.metrics(),
            gap=None if gap is None else GapReport(gap.metric, gap.fine_tuned, gap.retrained),
            params=dict(params or {}),
            metrics=evaluation.metrics(),
            curves=curves or {},
            examples=list(examples),
        )


def best_first(models: Sequence[ModelReport]) -> list[ModelReport]:
    """Sort models by NDCG@10 of visitors, next visits, and the split by time."""

    def key(model: ModelReport) -> tuple[float, float, float]:
        visitor = None if model.visitor is None else model.visitor.ndcg
        next_visit = None if model.next_visit is None else model.next_visit.ndcg
        by_time = None if model.by_time is None else model.by_time.ndcg
        first, second, third = (
            -1.0 if interval is None else interval.mean
            for interval in (visitor, next_visit, by_time)
        )
        return first, second, third

    return sorted(models, key=key, reverse=True)
