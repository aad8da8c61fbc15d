"""The validation of a training: the parts of the development split and their metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Ratings
from moovier.data.split import Development, split_last_share
from moovier.evaluation import next_visit, ranking, visitor
from moovier.models.family import Scorer

#: Draws per validation visitor: fewer than in the test, because each epoch ranks them.
DRAWS = 2
#: Most users whose lists measure a rating family, which never serves lists.
MOST_RANKED = 1000
#: Visitors who are so many that one draw of each is enough.
MANY_VISITORS = 400


@dataclass(frozen=True)
class Parts:
    """The training part and the validation part.

    ``evaluate``: returns a scorer's NDCG@10 on the validation part, 0 to 1, by name; nothing
    without validation users.
    """

    train: Ratings
    validation: Ratings
    evaluate: Callable[[Scorer], dict[str, float]]


def ranking_parts(split: Development) -> Parts:
    """Return the parts of a ranking family: visitors and next visits.

    If no user qualifies for either, the training part is split by time.
    """
    known, counts = split.train.histories, split.train.histories.movie_counts()
    n_visitors = np.count_nonzero(split.visitors.counts)
    visitors = visitor.draw_visitors(
        split.visitors,
        moment=newest(split.train),
        draws=1 if n_visitors >= MANY_VISITORS else DRAWS,
    )
    if not visitors.users.size and not len(split.next_visit):
        earlier, later = split_last_share(split.train)
        return _parts(earlier, later)

    def evaluate(scorer: Scorer) -> dict[str, float]:
        metrics = {}
        visitor_result = visitor.evaluate(scorer, visitors, counts)
        if visitor_result is not None:
            metrics["val_visitor_ndcg_at_10"] = visitor_result.metrics()["visitor_ndcg_at_10"]
        next_result = next_visit.evaluate(scorer, known, split.next_visit)
        if next_result is not None:
            metrics["val_next_visit_ndcg_at_10"] = next_result.metrics()["ndcg_at_10"]
        return metrics

    return Parts(split.train, split.next_visit, evaluate)


def rating_parts(split: Development) -> Parts:
    """Return the parts of a rating family: random rows."""
    return _parts(split.stars_train, split.stars_validation)


def _parts(train: Ratings, validation: Ratings) -> Parts:
    histories = train.histories
    users = np.unique(validation.users)
    ranked = validation
    if users.size > MOST_RANKED:
        # Evenly spaced, because ids may say how long ago somebody came.
        few = users[np.linspace(0, users.size - 1, MOST_RANKED).astype(np.int64)]
        ranked = validation.take(np.isin(validation.users, few))

    def evaluate(scorer: Scorer) -> dict[str, float]:
        if not len(ranked):
            return {}
        result = ranking.evaluate(scorer, histories, ranked)
        return {"val_ndcg_at_10": result.metrics()["ndcg_at_10"]}

    return Parts(train, validation, evaluate)


def geometric_mean(metrics: Mapping[str, float]) -> float:
    """Return the geometric mean of values from 0 to 1; 0 without values."""
    if not metrics:
        return 0.0
    return float(np.prod(list(metrics.values())) ** (1 / len(metrics)))


def newest(ratings: Ratings) -> int:
    """Return the moment of the newest rating, in Unix seconds; 0 without ratings."""
    return int(ratings.timestamps.max(initial=0))
