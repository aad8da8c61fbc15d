"""The visitor protocol: somebody new who rates k movies today, in any order.

From each held-out person k ratings are drawn uniformly, put in random order and stamped with one
moment. Relevant are the person's other movies with 4 stars or more. The whole catalogue without
the k movies is ranked. The models are fitted without these people.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import History, Ints, Ratings
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values
from moovier.evaluation.ranking import top_unseen
from moovier.models.family import Scorer

#: Numbers of ratings that visitors have. 0 is reported beside them.
KS = (1, 3, 5, 10, 20)
#: Draws per person.
DRAWS = 3
#: Stars from which a movie is relevant.
RELEVANT_STARS = 4.0
#: A person needs k + this many ratings, and this many relevant movies.
LEAST_OTHERS, LEAST_RELEVANT = 10, 5
#: A protocol with fewer people than this is reported and decides nothing.
LEAST_PEOPLE = 20
_TOP = 10


@dataclass(frozen=True)
class VisitorResult:
    """NDCG@10 of each held-out person, mean over the draws.

    ``users``: (n,) rows. ``ndcg``: (n, len(KS)), 0 to 1, NaN where the person has too few ratings
    for that k. ``debiased``: the same with lower gains for popular movies. ``ndcg_k0``: (n,)
    without any rating.
    """

    users: Ints
    ndcg: Values
    debiased: Values
    ndcg_k0: Values

    def metrics(self) -> dict[str, float]:
        """Return the means under the names that runs and reports carry; NaN left out."""
        found = {
            "visitor_ndcg_at_10": metrics.mean(self.ndcg),
            "visitor_ndcg_at_10_k0": metrics.mean(self.ndcg_k0),
            "visitor_debiased_ndcg_at_10": metrics.mean(self.debiased),
        }
        for column, k in enumerate(KS):
            found[f"visitor_ndcg_at_10_k{k}"] = metrics.mean(self.ndcg[:, column])
        return {name: value for name, value in found.items() if not np.isnan(value)}


@dataclass(frozen=True)
class _Visit:
    """One list to rank: ``row`` of the person, ``draw``, ``column`` of k, and what is relevant."""

    row: int
    draw: int
    column: int
    history: History
    relevant: Ints


@dataclass(frozen=True)
class Visitors:
    """The drawn visits of held-out people, the same for every model.

    ``users``: (n,) rows of the people who take part at one k at least. ``liked``: movies relevant
    for each of them without any rating.
    """

    users: Ints
    draws: int
    visits: list[_Visit]
    liked: list[Ints]


def draw_visitors(held_out: Ratings, *, moment: int, seed: int = 0, draws: int = DRAWS) -> Visitors:
    """Draw the ratings that each held-out person brings.

    ``held_out``: all ratings of the held-out people. ``moment``: Unix seconds that every drawn
    rating is stamped with. The draws depend on ``seed`` and the user's row only, and the ratings
    for a smaller k are the first of those for a larger k.
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
        mine = _visits_of(movies, stars, len(users), int(user), moment, seed, draws)
        if mine:
            users.append(int(user))
            visits.extend(mine)
            liked.append(movies[stars >= RELEVANT_STARS])
    return Visitors(np.array(users, dtype=np.int64), draws, visits, liked)


def _visits_of(
    movies: Ints,
    stars: np.ndarray,
    row: int,
    user: int,
    moment: int,
    seed: int,
    draws: int,
) -> list[_Visit]:
    visits = []
    for draw in range(draws):
        order = np.random.default_rng([seed, user, draw]).permutation(movies.size)
        for column, k in enumerate(KS):
            shown, others = order[:k], order[k:]
            relevant = movies[others[stars[others] >= RELEVANT_STARS]]
            if movies.size >= k + LEAST_OTHERS and relevant.size >= LEAST_RELEVANT:
                history = History(movies[shown], stars[shown], np.full(k, moment, dtype=np.int64))
                visits.append(_Visit(row, draw, column, history, relevant))
    return visits


def evaluate(scorer: Scorer, visitors: Visitors, counts: Ints) -> VisitorResult | None:
    """Rank the catalogue for every visit; None where nobody takes part.

    ``counts``: (n_movies,) ratings of each movie in the training part.
    """
    n = visitors.users.size
    if n == 0:
        return None
    visits = visitors.visits
    top = np.stack([top_unseen(scorer.fold_in(v.history), v.history.movies, _TOP) for v in visits])
    relevant = [visit.relevant for visit in visits]
    nothing = np.empty(0, dtype=np.int64)
    empty = History(nothing, np.empty(0, dtype=np.float32), nothing)
    without = top_unseen(scorer.fold_in(empty), nothing, _TOP)
    return VisitorResult(
        users=visitors.users,
        ndcg=_by_person(visitors, metrics.ndcg_at_k(top, relevant, _TOP)),
        debiased=_by_person(visitors, metrics.debiased_ndcg_at_k(top, relevant, counts, _TOP)),
        ndcg_k0=metrics.ndcg_at_k(np.tile(without, (n, 1)), visitors.liked, _TOP),
    )


def _by_person(visitors: Visitors, values: Values) -> Values:
    """Return the mean over draws of one value per visit, (n, len(KS)), NaN without a visit."""
    shape = (visitors.users.size, len(KS))
    sums, times = np.zeros(shape), np.zeros(shape)
    for visit, value in zip(visitors.visits, values, strict=True):
        sums[visit.row, visit.column] += value
        times[visit.row, visit.column] += 1
    means: Values = np.full(shape, np.nan)
    np.divide(sums, times, out=means, where=times > 0)
    return means
