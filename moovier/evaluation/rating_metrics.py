"""The rating protocol: the error of predicted stars."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Floats, Histories, Ratings
from moovier.evaluation import metrics
from moovier.models.family import PairScorer, Scorer


@dataclass(frozen=True)
class StarsResult:
    """The predicted and the true stars of each row of the test part, (n,)."""

    predicted: Floats
    stars: Floats

    def metrics(self) -> dict[str, float]:
        """Return ``rmse`` and ``mae``, in stars."""
        return {
            "rmse": metrics.rmse(self.predicted, self.stars),
            "mae": metrics.mae(self.predicted, self.stars),
        }


def evaluate(scorer: Scorer, known: Histories, test: Ratings) -> StarsResult:
    """Predict every row of ``test`` with a scorer whose scores are stars.

    ``known``: each user's other ratings.
    """
    if isinstance(scorer, PairScorer):
        predicted = scorer.stars(test.users, test.movies)
        return StarsResult(predicted, test.stars.astype(np.float32))
    predicted = np.empty(len(test), dtype=np.float32)
    for user in np.unique(test.users):
        rows = np.flatnonzero(test.users == user)
        scores = scorer.score(np.array([user], dtype=np.int64), known)[0]
        predicted[rows] = scores[test.movies[rows]]
    return StarsResult(predicted, test.stars.astype(np.float32))
