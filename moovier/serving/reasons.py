"""Choose the ratings that are named as the reasons of a recommendation."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import LIKED_STARS, Floats, History, Ints
from moovier.models.family import Scorer
from moovier.models.top_k import largest_parts

#: Most reasons for a movie, and the smallest weight of a reason as a share of the largest weight.
MAX_REASONS, MIN_WEIGHT_SHARE = 3, 0.25
#: Fewest stars of a movie that a strict user liked: it must also be above the user's mean.
LIKED_BY_STRICT_USERS = 3.0


def strongest_reasons(scorer: Scorer, history: History, rows: Ints) -> list[list[int]]:
    """Return for each movie the places in the history of its reasons, the strongest first.

    Reasons are liked movies without which the score of the movie in ``rows`` falls most.
    """
    liked = _liked(history.stars)
    if not liked.size:
        return [[] for _ in range(rows.size)]
    places, parts = largest_parts(scorer.explain(history, rows), liked, MAX_REASONS)
    reasons = []
    for row_places, weights in zip(places.tolist(), parts.tolist(), strict=True):
        least = max(MIN_WEIGHT_SHARE * weights[0], 1e-9)
        # The weights descend.
        reasons.append(row_places[: sum([weight >= least for weight in weights])])
    return reasons


def _liked(stars: Floats) -> Ints:
    """Return the places of the ratings that say that the movie was liked.

    They have many stars, or more than the mean of a strict user.
    """
    values = stars.tolist()
    mean = sum(values) / len(values)
    return np.array(
        [
            place
            for place, value in enumerate(values)
            if value >= LIKED_STARS or (value >= LIKED_BY_STRICT_USERS and value > mean)
        ],
        dtype=np.int64,
    )
