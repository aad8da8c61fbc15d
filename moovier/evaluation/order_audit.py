"""The order audit: does the order of a history's ratings change what is recommended?

MovieLens shows people lists of movies and they rate down the list, so the order within a sitting
is MovieLens's own. A model that learns this order looks good on the split by time and serves
visitors badly. The audit shows such a model.
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
    """NDCG@10 and overlap of the lists when the order of a history changes.

    All per person, (n,), 0 to 1. ``as_rated``, ``within_sittings``, ``shuffled``: NDCG@10 with the
    history as it was, shuffled within each sitting, and shuffled whole.
    ``overlap_within_sittings``, ``overlap_shuffled``: share of the 10 movies that stay in the list.
    """

    users: Ints
    as_rated: Values
    within_sittings: Values
    shuffled: Values
    overlap_within_sittings: Values
    overlap_shuffled: Values

    def metrics(self) -> dict[str, float]:
        """Return the means under the names that runs and reports carry."""
        return {
            "order_audit_ndcg_at_10_as_rated": metrics.mean(self.as_rated),
            "order_audit_ndcg_at_10_within_sittings": metrics.mean(self.within_sittings),
            "order_audit_ndcg_at_10_shuffled": metrics.mean(self.shuffled),
            "order_audit_overlap_within_sittings": metrics.mean(self.overlap_within_sittings),
            "order_audit_overlap_shuffled": metrics.mean(self.overlap_shuffled),
        }


def evaluate(scorer: Scorer, held_out: Ratings, *, seed: int = 0) -> OrderAudit | None:
    """Serve each held-out person the first 80 % of their ratings in three orders.

    ``held_out``: all ratings of people whom the model never saw. Relevant is the last 20 % by
    time. None where nobody has a rating there.
    """
    shown, test = split_last_share(held_out)
    if not len(test):
        return None
    known, wanted = shown.histories, test.histories
    users = np.flatnonzero(wanted.counts())
    relevant = [wanted[int(user)].movies for user in users]
    as_rated, within, whole = _lists(scorer, known, users, seed)
    return OrderAudit(
        users=users,
        as_rated=metrics.ndcg_at_k(as_rated, relevant, _TOP),
        within_sittings=metrics.ndcg_at_k(within, relevant, _TOP),
        shuffled=metrics.ndcg_at_k(whole, relevant, _TOP),
        overlap_within_sittings=_overlap(as_rated, within),
        overlap_shuffled=_overlap(as_rated, whole),
    )


def shuffled_within_sittings(history: History, random: np.random.Generator) -> History:
    """Shuffle the ratings of each sitting; the timestamps stay where they are, ascending.

    Ratings less than 24 hours apart form a sitting. ``history``: oldest first.
    """
    new_sitting = np.diff(history.timestamps, prepend=history.timestamps[:1]) >= PAUSE_S
    sitting = np.cumsum(new_sitting)
    order = np.lexsort((random.random(len(history)), sitting))
    return _reordered(history, order)


def shuffled_whole(history: History, random: np.random.Generator) -> History:
    """Shuffle all ratings; the timestamps stay where they are, ascending."""
    return _reordered(history, random.permutation(len(history)))


def _reordered(history: History, order: Ints) -> History:
    return History(history.movies[order], history.stars[order], history.timestamps)


def _lists(scorer: Scorer, known: Histories, users: Ints, seed: int) -> tuple[Ints, Ints, Ints]:
    """Return the lists for the three orders, (n, 10) each."""
    lists: tuple[list[Ints], list[Ints], list[Ints]] = ([], [], [])
    for user in users:
        history = known[int(user)]
        random = np.random.default_rng([seed, int(user)])
        orders = (
            history,
            shuffled_within_sittings(history, random),
            shuffled_whole(history, random),
        )
        for part, one in zip(lists, orders, strict=True):
            part.append(top_unseen(scorer.fold_in(one), one.movies, _TOP))
    return np.stack(lists[0]), np.stack(lists[1]), np.stack(lists[2])


def _overlap(left: Ints, right: Ints) -> Values:
    """Return the share of each left list that is in the right one, (n,)."""
    values = []
    for one, other in zip(left, right, strict=True):
        shown = one[one >= 0]
        values.append(np.isin(shown, other).mean() if shown.size else np.nan)
    return np.array(values, dtype=np.float64)
