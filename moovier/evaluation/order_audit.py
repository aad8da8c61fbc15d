"""The order audit: measure how much the order of a history changes the lists.

MovieLens shows lists of movies, and users rate down a list, so MovieLens decides the order within
a sitting. A model that learns this order looks good on the split by time, but serves visitors
badly. The audit detects such a model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Histories, History, Ints, Ratings
from moovier.data.split import PAUSE_S, split_last_share
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values
from moovier.evaluation.ranking import top_unseen
from moovier.models.family import Scorer

_TOP = 10


@dataclass(frozen=True)
class OrderAudit:
    """The NDCG@10 and the overlap of the lists for three orders of a history.

    All per user, (n,), 0 to 1. ``as_rated``, ``within_sittings``, ``shuffled``: NDCG@10 with the
    history as it is, shuffled within each sitting, and shuffled as a whole.
    ``overlap_within_sittings``, ``overlap_shuffled``: share of the 10 movies that stay in the list.
    """

    users: Ints
    as_rated: Values
    within_sittings: Values
    shuffled: Values
    overlap_within_sittings: Values
    overlap_shuffled: Values

    def metrics(self) -> dict[str, float]:
        """Return the means under their names in runs and reports."""
        return {
            "order_audit_ndcg_at_10_as_rated": metrics.mean(self.as_rated),
            "order_audit_ndcg_at_10_within_sittings": metrics.mean(self.within_sittings),
            "order_audit_ndcg_at_10_shuffled": metrics.mean(self.shuffled),
            "order_audit_overlap_within_sittings": metrics.mean(self.overlap_within_sittings),
            "order_audit_overlap_shuffled": metrics.mean(self.overlap_shuffled),
        }


def evaluate(scorer: Scorer, held_out: Ratings, *, seed: int = 0) -> OrderAudit | None:
    """Rank for each held-out user with the first 80 % of the ratings in three orders.

    ``held_out``: all ratings of users whom the model does not know. The movies of the last 20 %
    by time are relevant. None if no user has ratings there.
    """
    earlier, later = split_last_share(held_out)
    if not len(later):
        return None
    known, test = earlier.histories, later.histories
    users = np.flatnonzero(test.counts())
    relevant = [test[int(user)].movies for user in users]
    as_rated, within, shuffled = _lists(scorer, known, users, seed)
    return OrderAudit(
        users=users,
        as_rated=metrics.ndcg_at_k(as_rated, relevant, _TOP),
        within_sittings=metrics.ndcg_at_k(within, relevant, _TOP),
        shuffled=metrics.ndcg_at_k(shuffled, relevant, _TOP),
        overlap_within_sittings=_overlap(as_rated, within),
        overlap_shuffled=_overlap(as_rated, shuffled),
    )


def shuffle_within_sittings(history: History, random: np.random.Generator) -> History:
    """Shuffle the ratings of each sitting; the timestamps stay ascending.

    Ratings less than 24 hours apart form a sitting. ``history``: oldest first.
    """
    new_sitting = np.diff(history.timestamps, prepend=history.timestamps[:1]) >= PAUSE_S
    sitting = np.cumsum(new_sitting)
    order = np.lexsort((random.random(len(history)), sitting))
    return _reorder(history, order)


def shuffle_all(history: History, random: np.random.Generator) -> History:
    """Shuffle all ratings; the timestamps stay ascending."""
    return _reorder(history, random.permutation(len(history)))


def _reorder(history: History, order: Ints) -> History:
    return History(history.movies[order], history.stars[order], history.timestamps)


def _lists(scorer: Scorer, known: Histories, users: Ints, seed: int) -> tuple[Ints, Ints, Ints]:
    """Return the lists for the three orders, (n, 10) each."""
    lists: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
    for user in users:
        history = known[int(user)]
        random = np.random.default_rng([seed, int(user)])
        orders = (
            history,
            shuffle_within_sittings(history, random),
            shuffle_all(history, random),
        )
        for rows, ordered in zip(lists, orders, strict=True):
            rows.append(top_unseen(scorer.fold_in(ordered), ordered.movies, _TOP))
    return np.stack(lists[0]), np.stack(lists[1]), np.stack(lists[2])


def _overlap(left: Ints, right: Ints) -> Values:
    """Return the share of each left list that is also in the right list, (n,)."""
    shares = []
    for left_list, right_list in zip(left, right, strict=True):
        movies = left_list[left_list >= 0]
        shares.append(np.isin(movies, right_list).mean() if movies.size else np.nan)
    return np.array(shares, dtype=np.float64)
