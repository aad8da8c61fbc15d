"""What a training is validated on: the parts of the development split and their figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Ratings
from moovier.data.split import Development, split_last_share
from moovier.evaluation import next_visit, ranking, visitor
from moovier.models.family import Scorer

#: Draws per validation visitor: fewer than in the test, since they are ranked after each epoch.
DRAWS = 2


@dataclass(frozen=True)
class Parts:
    """What a training fits on and is validated on.

    ``figures`` gives a scorer's NDCG@10, 0 to 1, by name; none where nobody can be validated.
    """

    train: Ratings
    validation: Ratings
    figures: Callable[[Scorer], dict[str, float]]


def ranking_parts(split: Development) -> Parts:
    """Return the parts of a ranking family: visitors and next visits.

    Where nobody qualifies for either, the training part is cut by time.
    """
    known, counts = split.train.histories, split.train.histories.movie_counts()
    visitors = visitor.draw_visitors(split.visitors, moment=newest(split.train), draws=DRAWS)
    if not visitors.users.size and not len(split.next_visit):
        earlier, later = split_last_share(split.train)
        return _by_time_parts(earlier, later)

    def figures(scorer: Scorer) -> dict[str, float]:
        found = {}
        of_visitors = visitor.evaluate(scorer, visitors, counts)
        if of_visitors is not None:
            found["val_visitor_ndcg_at_10"] = of_visitors.metrics()["visitor_ndcg_at_10"]
        of_next = next_visit.evaluate(scorer, known, split.next_visit)
        if of_next is not None:
            found["val_next_visit_ndcg_at_10"] = of_next.metrics()["ndcg_at_10"]
        return found

    return Parts(split.train, split.next_visit, figures)


def rating_parts(split: Development) -> Parts:
    """Return the parts of a rating family: random rows."""
    return _by_time_parts(split.stars_train, split.stars_validation)


def _by_time_parts(known: Ratings, later: Ratings) -> Parts:
    histories = known.histories

    def figures(scorer: Scorer) -> dict[str, float]:
        if not len(later):
            return {}
        return {
            "val_ndcg_at_10": ranking.evaluate(scorer, histories, later).metrics()["ndcg_at_10"]
        }

    return Parts(known, later, figures)


def geometric_mean(figures: Mapping[str, float]) -> float:
    """Return the geometric mean of values from 0 to 1; 0 of none."""
    if not figures:
        return 0.0
    return float(np.prod(list(figures.values())) ** (1 / len(figures)))


def newest(ratings: Ratings) -> int:
    """Return the moment of the newest rating, in Unix seconds; 0 of none."""
    return int(ratings.timestamps.max(initial=0))
