"""The ranking protocol: rank all movies that a user has not rated.

No negatives are sampled, because sampled metrics mislead (Krichene & Rendle 2020,
doi:10.1145/3394486.3403226).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Floats, Histories, Ints, Ratings
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values
from moovier.models.family import CoveredScorer, ListScorer, Scorer, SharedOrderScorer
from moovier.models.item_statistics import select
from moovier.models.top_k import top_rows

#: Users that are scored at once.
BATCH = 256
#: Segments of users by their number of known ratings, with both bounds included.
SEGMENTS = {"0": (0, 0), "1-4": (1, 4), "5-19": (5, 19), "20+": (20, np.inf)}


@dataclass(frozen=True)
class RankingResult:
    """The lists and metrics of a model for the users of the test part.

    ``users``: (n,) rows. ``top``: (n, k) movie rows, best first. Per user, (n,): ``ndcg``,
    ``debiased`` (NDCG with lower gains for popular movies), ``recall``, ``hit``. ``coverage``:
    share of the catalogue in the lists. ``popularity_bias``: mean popularity percentile of the
    listed movies. ``history``: (n,) known ratings of each user.
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
        """Return the means under their names in runs and reports."""
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
        """Return the users and the mean NDCG of each segment that has users."""
        segments = {}
        for name, (low, high) in SEGMENTS.items():
            inside = (self.history >= low) & (self.history <= high)
            if inside.any():
                segments[name] = (int(inside.sum()), _mean(self.ndcg[inside]))
        return segments


def evaluate(
    scorer: Scorer,
    known: Histories,
    test: Ratings,
    *,
    k: int = 10,
    batch: int = BATCH,
) -> RankingResult:
    """Rank the catalogue for every user of ``test``, without the user's known movies.

    ``known``: the users' ratings in the training part; their counts also define popularity.
    ``batch``: users per call of the scorer.

    Raises:
        ValueError: ``test`` is empty.
    """
    later = test.histories
    users = np.flatnonzero(later.counts())
    if users.size == 0:
        raise ValueError("the test part has no ratings; choose a split with a test part")
    top = top_lists(scorer, users, known, k, batch=batch)
    relevant = [later[int(user)].movies for user in users]
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


def top_lists(scorer: Scorer, users: Ints, known: Histories, k: int, *, batch: int = BATCH) -> Ints:
    """Return the best k movie rows of each user without the known ones, padded with -1.

    ``users``: (n,) rows of ``known``. ``batch``: users that are scored at once. Returns (n, k).
    """
    if isinstance(scorer, ListScorer):
        return scorer.top_lists(users, known, k)
    top = np.full((users.size, k), -1, dtype=np.int64)
    if isinstance(scorer, SharedOrderScorer):
        order = scorer.shared_order
        for row, user in enumerate(users.tolist()):
            best = _first_unseen(order, known[user].movies, known.n_movies, k)
            top[row, : best.size] = best
        return top
    for start in range(0, users.size, batch):
        part = users[start : start + batch]
        lists = top[start : start + batch]
        if isinstance(scorer, CoveredScorer):
            _write_covered(lists, scorer, part, known)
            continue
        for row, scores in enumerate(scorer.score(part, known)):
            lists[row] = top_unseen(scores, known[int(part[row])].movies, k)
    return top


def _write_covered(lists: Ints, scorer: CoveredScorer, users: Ints, known: Histories) -> None:
    """Write the lists of ``users``, (len(users), k), looking at the covered movies only."""
    k = lists.shape[1]
    histories = select(known, users)
    scores = scorer.fold_in_covered(histories)
    place = np.full(known.n_movies, -1, dtype=np.int64)
    place[scorer.covered] = np.arange(scorer.covered.size)
    seen = place[histories.movies]
    rows = np.repeat(np.arange(users.size), histories.counts())
    inside = seen >= 0
    scores[rows[inside], seen[inside]] = -np.inf
    n_seen = np.bincount(rows[inside], minlength=users.size)
    # The others rank behind, by popularity; without a covered rating, all movies do.
    is_short = (n_seen == 0) | (scorer.covered.size - n_seen < k)
    for row in np.flatnonzero(~is_short):
        lists[row] = scorer.covered[top_rows(scores[row], k)]
    for row in np.flatnonzero(is_short):
        history = histories[int(row)]
        lists[row] = top_unseen(scorer.fold_in(history), history.movies, k)


def _first_unseen(order: Ints, seen: Ints, n_movies: int, k: int) -> Ints:
    """Return the first k rows of ``order`` without ``seen``, (k,) or fewer."""
    first = order[: k + seen.size]
    is_seen = np.zeros(n_movies, dtype=np.bool_)
    is_seen[seen] = True
    return first[~is_seen[first]][:k]


def top_unseen(scores: Floats, seen: Ints, k: int) -> Ints:
    """Return the best k movie rows without ``seen``, (k,), padded with -1.

    ``scores``: (n_movies,), not changed.
    """
    unseen = np.array(scores, dtype=np.float32)
    unseen[seen] = -np.inf
    best = top_rows(unseen, k)
    padded = np.full(k, -1, dtype=np.int64)
    padded[: best.size] = best
    return padded


def _mean(values: Values) -> float:
    return float(np.nanmean(values))
