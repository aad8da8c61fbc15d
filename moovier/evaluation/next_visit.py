"""The next-visit protocol: somebody known who comes back after a pause.

The test is everything after a user's last pause (:func:`moovier.data.split.split_last_visit`).
Every movie rated there is relevant, whatever its stars.
"""

from __future__ import annotations

from moovier.data.ratings import Histories, Ratings
from moovier.evaluation import ranking
from moovier.evaluation.ranking import RankingResult
from moovier.models.family import Scorer

PREFIX = "next_visit_"


def evaluate(scorer: Scorer, before: Histories, after: Ratings) -> RankingResult | None:
    """Rank for every user of ``after``; None where nobody has a next visit.

    ``before``: all other ratings of everybody, on which the scorer was fitted.
    """
    if not len(after):
        return None
    return ranking.evaluate(scorer, before, after)


def named_metrics(result: RankingResult) -> dict[str, float]:
    """Return the result's means as ``next_visit_ndcg_at_10`` and the like."""
    return {f"{PREFIX}{name}": value for name, value in result.metrics().items()}
