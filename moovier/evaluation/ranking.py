"""The ranking protocol: every movie that a user has not rated is ranked, none is sampled away.

Sampled negatives mislead (Krichene & Rendle 2020, doi:10.1145/3394486.3403226).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows

#: Bounds of the history-length segments: none, 1 to 4, 5 to 19, 20 and more known ratings.
SEGMENTS = {"0": (0, 0), "1-4": (1, 4), "5-19": (5, 19), "20+": (20, np.inf)}


@dataclass(frozen=True)
class RankingResult:
    """One model's lists and figures, per user with something in the test part.

    ``users``: (n,) rows. ``top``: (n, k) movie rows, best first. Per user, (n,): ``ndcg``,
    ``debiased`` (NDCG with lower gains for popular movies), ``recall``, ``hit``. ``coverage``:
    share of the catalogue in any list. ``popularity_bias``: mean popularity percentile of what is
    shown. ``history``: (n,) ratings each user had.
    """

    users: Ints
    top: Ints
    k: int
    ndcg: Values
    debiased: Values
    recall: Values
    hit: Values
    history: Ints
    coverage: float
    popularity_bias: float

    def metrics(self) -> dict[str, float]:
        """Return the means under the names that runs and reports carry."""
        k = self.k
        return {
            f"ndcg_at_{k}": _mean(self.ndcg),
            f"debiased_ndcg_at_{k}": _mean(self.debiased),
            f"recall_at_{k}": _mean(self.recall),
            f"hit_at_{k}": _mean(self.hit),
            f"coverage_at_{k}": self.coverage,
            f"popularity_bias_at_{k}": self.popularity_bias,
        }

    def segments(self) -> dict[str, tuple[int, float]]:
        """Users and mean NDCG by how many ratings they had, empty segments left out."""
        found = {}
        for name, (low, high) in SEGMENTS.items():
            inside = (self.history >= low) & (self.history <= high)
            if inside.any():
                found[name] = (int(inside.sum()), _mean(self.ndcg[inside]))
        return found


def evaluate(
    scorer: Scorer,
    known: Histories,
    test: Ratings,
    *,
    k: int = 10,
    batch: int = 256,
    fold_in: bool = False,
) -> RankingResult:
    """Rank the catalogue for every user of ``test``, all movies in ``known`` left out.

    ``known``: the users' ratings in the training part, whose counts also define popularity.
    ``fold_in``: treat the users as people the model never saw and show it their history only.

    Raises:
        ValueError: ``test`` is empty.
    """
    wanted = test.histories
    users = np.flatnonzero(wanted.counts())
    if users.size == 0:
        raise ValueError("nobody has a rating in the test part")
    lists = []
    for start in range(0, users.size, batch):
        part = users[start : start + batch]
        if fold_in:
            scores = np.stack([scorer.fold_in(known[int(user)]) for user in part])
        else:
            scores = scorer.score(part, known)
        lists.append(_top(scores, part, known, k))
    top = np.concatenate(lists)
    relevant = [wanted[int(user)].movies for user in users]
    counts = known.movie_counts()
    return RankingResult(
        users=users,
        top=top,
        k=k,
        ndcg=metrics.ndcg_at_k(top, relevant, k),
        debiased=metrics.debiased_ndcg_at_k(top, relevant, counts, k),
        recall=metrics.recall_at_k(top, relevant, k),
        hit=metrics.hit_at_k(top, relevant, k),
        history=known.counts()[users],
        coverage=metrics.coverage_at_k(top, k, known.n_movies),
        popularity_bias=metrics.popularity_bias(top, k, counts),
    )


def _top(scores: Floats, users: Ints, known: Histories, k: int) -> Ints:
    """Return the lists of a batch, (len(users), k), -1 where fewer movies are left."""
    rows = [top_unseen(scores[row], known[int(user)].movies, k) for row, user in enumerate(users)]
    return np.stack(rows)


def top_unseen(scores: Floats, seen: Ints, k: int) -> Ints:
    """Return the best k movie rows without ``seen``, (k,), -1 where fewer movies are left.

    ``scores``: (n_movies,), not written to.
    """
    unseen = np.array(scores, dtype=np.float32)
    unseen[seen] = -np.inf
    best = top_rows(unseen, k)
    padded = np.full(k, -1, dtype=np.int64)
    padded[: best.size] = best
    return padded


def _mean(values: Values) -> float:
    return float(np.nanmean(values))
