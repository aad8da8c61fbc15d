"""The visitor protocol: rank for visitors with k ratings.

The models are fitted without the held-out users. For each of them k ratings are drawn uniformly,
in random order and with one timestamp. The scorer ranks the whole catalogue without the k movies.
The user's other movies with 4 stars or more are relevant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from moovier.data.ratings import Histories, History, Ints, Ratings
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values
from moovier.evaluation.ranking import top_lists, top_unseen
from moovier.models.family import CoveredScorer, ListScorer, Scorer, SharedOrderScorer

#: Numbers of ratings of a visitor. 0 ratings are reported beside them.
KS = (1, 3, 5, 10, 20)
#: Draws per user.
DRAWS = 3
#: Lowest stars of a relevant movie.
RELEVANT_STARS = 4.0
#: A user takes part at k with this many further ratings, and this many relevant ones of them.
LEAST_OTHERS, LEAST_RELEVANT = 10, 5
#: A protocol with fewer users is reported but decides nothing.
LEAST_PEOPLE = 20
_TOP = 10


@dataclass(frozen=True)
class VisitorResult:
    """The NDCG@10 of each held-out user, as mean over the draws.

    ``users``: (n,) rows. ``ndcg``: (n, len(KS)), 0 to 1, NaN for a k at which the user does not
    take part. ``debiased``: the same with lower gains for popular movies. ``ndcg_k0``: (n,)
    without any rating.
    """

    users: Ints
    ndcg: Values
    debiased: Values
    ndcg_k0: Values

    def metrics(self) -> dict[str, float]:
        """Return the means under their names in runs and reports, without NaN values."""
        means = {
            "visitor_ndcg_at_10": metrics.mean(self.ndcg),
            "visitor_ndcg_at_10_k0": metrics.mean(self.ndcg_k0),
            "visitor_debiased_ndcg_at_10": metrics.mean(self.debiased),
        }
        for column, k in enumerate(KS):
            means[f"visitor_ndcg_at_10_k{k}"] = metrics.mean(self.ndcg[:, column])
        return {name: value for name, value in means.items() if not np.isnan(value)}


@dataclass(frozen=True)
class _Visit:
    """The input and the relevant movies of one list.

    ``row``: the user's position in the result. ``draw``: number of the draw. ``column``: position
    of k in :data:`KS`.
    """

    row: int
    draw: int
    column: int
    history: History
    relevant: Ints


@dataclass(frozen=True)
class Visitors:
    """The drawn visits of the held-out users, the same for every model.

    ``users``: (n,) rows of the users who take part at one k at least. ``liked``: relevant movies
    of each of them without any rating.
    """

    users: Ints
    draws: int
    visits: list[_Visit]
    liked: list[Ints]

    def histories(self, n_movies: int) -> Histories:
        """Return the histories of all visits, one user each."""
        parts = [visit.history for visit in self.visits]
        movies: Any = np.concatenate([part.movies for part in parts]).astype(np.int32)
        return Histories(
            np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64),
            movies,
            np.concatenate([part.stars for part in parts]),
            np.concatenate([part.timestamps for part in parts]),
            n_movies,
        )


def draw_visitors(held_out: Ratings, *, moment: int, seed: int = 0, draws: int = DRAWS) -> Visitors:
    """Draw the ratings of each visitor.

    ``held_out``: all ratings of the held-out users. ``moment``: timestamp of every drawn rating,
    Unix seconds. The draws depend on ``seed`` and the user's row only. The ratings for a smaller k
    are the first ratings for a larger k.
    """
    users: list[int] = []
    visits: list[_Visit] = []
    liked: list[Ints] = []
    histories = held_out.histories
    for user in np.flatnonzero(histories.counts()):
        history = histories[int(user)]
        # By movie, so that a draw does not depend on the order of the rows.
        order = np.argsort(history.movies, kind="stable")
        movies, stars = history.movies[order], history.stars[order]
        drawn = _draw_visits(
            History(movies, stars, np.full(movies.size, moment, dtype=np.int64)),
            len(users),
            seeds=[(seed, int(user), draw) for draw in range(draws)],
        )
        if drawn:
            users.append(int(user))
            visits.extend(drawn)
            liked.append(movies[stars >= RELEVANT_STARS])
    return Visitors(np.array(users, dtype=np.int64), draws, visits, liked)


def _draw_visits(
    history: History, row: int, *, seeds: Sequence[tuple[int, int, int]]
) -> list[_Visit]:
    """Return the visits of one user, a draw for each of ``seeds``."""
    visits = []
    for draw, seed in enumerate(seeds):
        order = np.random.default_rng(seed).permutation(len(history))
        for column, k in enumerate(KS):
            drawn, others = order[:k], order[k:]
            relevant = history.movies[others[history.stars[others] >= RELEVANT_STARS]]
            if len(history) >= k + LEAST_OTHERS and relevant.size >= LEAST_RELEVANT:
                visit = History(
                    history.movies[drawn], history.stars[drawn], history.timestamps[drawn]
                )
                visits.append(_Visit(row, draw, column, visit, relevant))
    return visits


def evaluate(scorer: Scorer, visitors: Visitors, counts: Ints) -> VisitorResult | None:
    """Rank the catalogue for every visit; None if no user takes part.

    ``counts``: (n_movies,) ratings of each movie in the training part.
    """
    n = visitors.users.size
    if n == 0:
        return None
    top = _top(scorer, visitors)
    relevant = [visit.relevant for visit in visitors.visits]
    no_rows = np.empty(0, dtype=np.int64)
    empty = History(no_rows, np.empty(0, dtype=np.float32), no_rows)
    top_k0 = top_unseen(scorer.fold_in(empty), no_rows, _TOP)
    return VisitorResult(
        users=visitors.users,
        ndcg=_mean_over_draws(visitors, metrics.ndcg_at_k(top, relevant, _TOP)),
        debiased=_mean_over_draws(
            visitors, metrics.debiased_ndcg_at_k(top, relevant, counts, _TOP)
        ),
        ndcg_k0=metrics.ndcg_at_k(np.tile(top_k0, (n, 1)), visitors.liked, _TOP),
    )


def _top(scorer: Scorer, visitors: Visitors) -> Ints:
    """Return the list of each visit, (n_visits, k)."""
    if isinstance(scorer, CoveredScorer | SharedOrderScorer | ListScorer):
        histories = visitors.histories(scorer.n_movies)
        return top_lists(scorer, np.arange(histories.n_users), histories, _TOP)
    histories_of = (visit.history for visit in visitors.visits)
    return np.stack([top_unseen(scorer.fold_in(h), h.movies, _TOP) for h in histories_of])


def _mean_over_draws(visitors: Visitors, values: Values) -> Values:
    """Return the mean over draws of a value per visit, (n, len(KS)), NaN without a visit."""
    shape = (visitors.users.size, len(KS))
    sums, times = np.zeros(shape), np.zeros(shape)
    for visit, value in zip(visitors.visits, values, strict=True):
        sums[visit.row, visit.column] += value
        times[visit.row, visit.column] += 1
    means: Values = np.full(shape, np.nan)
    np.divide(sums, times, out=means, where=times > 0)
    return means
