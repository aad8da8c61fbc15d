"""The rating protocol: how far predicted stars are from those that were given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Floats, Histories, Ratings
from moovier.evaluation import metrics
from moovier.models.family import Scorer


@dataclass(frozen=True)
class StarsResult:
    """``predicted`` and ``given``: (n,) stars of each row of the test part."""

    predicted: Floats
    given: Floats

    def metrics(self) -> dict[str, float]:
        """``rmse`` and ``mae``, in stars."""
        return {
            "rmse": metrics.rmse(self.predicted, self.given),
            "mae": metrics.mae(self.predicted, self.given),
        }


def evaluate(
    scorer: Scorer, known: Histories, test: Ratings, *, fold_in: bool = False
) -> StarsResult:
    """Predict every row of ``test``; the scores of ``scorer`` are stars.

    ``known``: each user's other ratings. ``fold_in``: treat the users as people the model never
    saw and show it their history only.
    """
    predicted = np.empty(len(test), dtype=np.float32)
    for user in np.unique(test.users):
        rows = np.flatnonzero(test.users == user)
        if fold_in:
            scores = scorer.fold_in(known[int(user)])
        else:
            scores = scorer.score(np.array([user], dtype=np.int64), known)[0]
        predicted[rows] = scores[test.movies[rows]]
    return StarsResult(predicted, test.stars.astype(np.float32))
