"""The next-visit protocol: rank for known users who come back after a pause.

The test part holds all ratings after a user's last pause
(:func:`moovier.data.split.split_last_visit`). Each movie of the test part is relevant, whatever
its stars.
"""

from __future__ import annotations

from moovier.data.ratings import Histories, Ratings
from moovier.evaluation import ranking
from moovier.evaluation.ranking import RankingResult
from moovier.models.family import Scorer

PREFIX = "next_visit_"


def evaluate(scorer: Scorer, before: Histories, after: Ratings) -> RankingResult | None:
    """Rank for every user of ``after``; None if no user has a next visit.

    ``before``: all users' other ratings, on which the scorer was fitted.
    """
    if not len(after):
        return None
    return ranking.evaluate(scorer, before, after)


def named_metrics(result: RankingResult) -> dict[str, float]:
    """Return the result's means with the prefix, such as ``next_visit_ndcg_at_10``."""
    return {f"{PREFIX}{name}": value for name, value in result.metrics().items()}
