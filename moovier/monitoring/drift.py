"""Whether the ratings that came (or went) are unlike those that the model was trained on.

What came is described by a few figures, each a distance from what the reference would have given
(:mod:`moovier.monitoring.null_distribution`). A figure has drifted when it is large enough to
matter (:class:`Limits`) *and* chance does not explain it, with all figures looked at together: its
p-value is the share of drawn windows in which any figure stands out as much, which keeps the
chance of a false alarm below the significance however many figures there are and however they
hang together. Source: single-step maxT, Westfall & Young 1993, "Resampling-Based Multiple
Testing", ISBN 978-0-471-55761-6. Why not a library's tests: docs/decisions/monitoring.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Ratings
from moovier.monitoring.dataset_diff import Bools, Change
from moovier.monitoring.distances import Values, js_distance, wasserstein
from moovier.monitoring.null_distribution import Crowd, draws
from moovier.monitoring.profiles import Profile, Reference, sampled

Ints = NDArray[np.int64]
#: Windows drawn from the reference, people looked at, and ratings without which nothing is said.
DRAWS, MOST_PEOPLE, FEWEST_RATINGS = 500, 2000, 20
#: Figure to the kind of drift that it speaks of.
KINDS: Mapping[str, str] = {
    "stars": "ratings",
    "rerated": "ratings",
    "agreement": "users",
    "popularity": "movies",
    "crowd": "movies",
    "novel": "movies",
    "genres": "genres",
    "tastes": "genres",
}
#: What the limit of a kind is multiplied by for a figure that has another scale.
_SCALE = {"crowd": 2.0, "tastes": 0.6}
#: Quantile of the drawn windows that a figure's tail begins at.
_TAIL = 0.99
#: No window of time that novelty is compared with starts before this share of the reference.
_ESTABLISHED = 0.3


@dataclass(frozen=True)
class Limits:
    """How large a figure must be to matter, by kind, and how improbable by chance.

    ``ratings``: stars that the distribution of stars has moved by. ``users``: share of the
    agreement with earlier people that is lost. ``movies``, ``genres``: Jensen-Shannon distance.
    """

    significance: float = 0.01
    ratings: float = 0.25
    users: float = 0.5
    movies: float = 0.2
    genres: float = 0.25

    def of(self, figure: str) -> float:
        by_kind = {
            "ratings": self.ratings,
            "users": self.users,
            "movies": self.movies,
            "genres": self.genres,
        }
        return by_kind[KINDS[figure]] * _SCALE.get(figure, 1.0)


@dataclass(frozen=True)
class DriftStatistic:
    """One distance. ``chance``: what 99 % of the drawn windows stay below; ``p``: how probable it
    is that any figure stands out like this by chance."""

    name: str
    value: float
    limit: float
    chance: float
    p: float
    drifted: bool

    @property
    def kind(self) -> str:
        return KINDS[self.name]


@dataclass(frozen=True)
class Expected:
    """The mean of the drawn windows."""

    stars: Values
    popularity: Values
    genres: Values
    novel: float
    agreement: float
    tastes: Values
    crowd: Values


@dataclass(frozen=True)
class Drift:
    """``people``, ``ratings``: how much was looked at. ``figures`` is empty, and so are ``seen``
    and ``expected``, where it was too little."""

    people: int
    ratings: int
    figures: tuple[DriftStatistic, ...] = ()
    seen: Profile | None = None
    expected: Expected | None = None

    @property
    def drifted(self) -> tuple[DriftStatistic, ...]:
        return tuple(figure for figure in self.figures if figure.drifted)


def added_drift(change: Change, limits: Limits, *, seed: int, n: int = DRAWS) -> Drift:
    """Drift of what the current data have and the reference has not."""
    return _look(change, change.current, change.came, limits, seed, n)


def removed_drift(change: Change, limits: Limits, *, seed: int, n: int = DRAWS) -> Drift:
    """Drift of what is gone: whether those that were deleted are unlike the others. A rating whose
    stars changed is not gone."""
    gone = change.went & ~change.reference.isin(change.current)
    return _look(change, change.reference, gone, limits, seed, n)


def _look(
    change: Change, ratings: Ratings, moved: Bools, limits: Limits, seed: int, n: int
) -> Drift:
    rng = np.random.default_rng(seed)
    h = ratings.take(moved).histories
    given = h.counts()
    who = np.flatnonzero(given)
    if who.size > MOST_PEOPLE:
        who = np.sort(rng.choice(who, MOST_PEOPLE, replace=False))
    reached = int(given[who].sum())
    if reached < FEWEST_RATINGS or not len(change.reference):
        return Drift(int(who.size), reached)
    reference = Reference(change.reference, change.genres)
    totals = np.bincount(ratings.users, minlength=ratings.n_users)
    crowd = Crowd(given[who], totals[who], change.new_users[who])
    people, places = sampled(given[who], rng.random(who.size))
    at = h.offsets[who][people] + places
    rows = reference.foreign(people, who[people], h.movies[at].astype(np.int64), h.stars[at])
    seen = reference.profile(rows)
    drawn = [reference.profile(window) for window in draws(reference, crowd, n, rng)]
    expected = _mean(drawn, change.movies.size)
    values = _distances(seen, expected)
    by_chance = {name: np.empty(n) for name in KINDS}
    for place, window in enumerate(drawn):
        for name, value in _distances(window, expected).items():
            by_chance[name][place] = value
    values["rerated"], by_chance["rerated"] = _rerated(change, ratings, moved, n, rng)
    periods = _novelty_of_periods(change.reference, int(moved.sum()), n // 2, rng)
    by_chance["novel"][::2] = np.maximum(
        by_chance["novel"][::2], np.resize(periods, (n + 1) // 2) - expected.novel
    )
    return Drift(int(who.size), reached, _judged(values, by_chance, limits), seen, expected)


def _mean(drawn: Sequence[Profile], n_movies: int) -> Expected:
    tastes = np.array([one.tastes for one in drawn])
    agreement = np.array([one.agreement for one in drawn])
    crowd = np.zeros(n_movies)
    for one in drawn:
        movies, shares = one.crowd
        crowd[movies] += shares / len(drawn)
    return Expected(
        stars=np.mean([one.stars for one in drawn], axis=0),
        popularity=np.mean([one.popularity for one in drawn], axis=0),
        genres=np.mean([one.genres for one in drawn], axis=0),
        novel=float(np.mean([one.novel for one in drawn])),
        agreement=float(_known_mean(agreement)),
        tastes=_known_mean(tastes),
        crowd=crowd,
    )


def _known_mean(values: Values) -> Values:
    """Mean over the first axis of what is not NaN; 0 where there is nothing."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Values = total / np.maximum(known.sum(axis=0), 1)
    return mean


def _distances(window: Profile, expected: Expected) -> dict[str, float]:
    """Each figure of a window, larger for more unlike. What cannot be told counts as alike."""
    lost = 0.0
    if expected.agreement > 0 and np.isfinite(window.agreement):
        # Only less counts: people who agree more than others do no harm.
        lost = max(0.0, 1 - window.agreement / expected.agreement)
    apart = np.nan_to_num(window.tastes - expected.tastes)
    movies, crowd = window.crowd
    return {
        "rerated": 0.0,
        "stars": wasserstein(window.stars, expected.stars, step=0.5),
        "agreement": lost,
        "popularity": float(js_distance(window.popularity, expected.popularity)),
        "crowd": max(0.0, float((crowd - expected.crowd[movies]).max())),
        "novel": max(0.0, window.novel - expected.novel),
        "genres": float(js_distance(window.genres, expected.genres)),
        "tastes": float(np.sqrt(expected.genres @ (apart * apart))),
    }


def _rerated(
    change: Change, ratings: Ratings, moved: Bools, n: int, rng: np.random.Generator
) -> tuple[float, Values]:
    """Stars by which people changed their own ratings, mean over the people who moved any.

    By chance somebody rates higher the second time as often as lower: each of the ``n`` draws flips
    the sign of all changes of a person or not (Fisher's randomisation of paired differences).
    """
    then = change.reference
    again = np.flatnonzero(moved & ratings.isin(then))
    pairs = then.users * then.n_movies + then.movies
    order = np.argsort(pairs, kind="stable")
    wanted = ratings.users[again] * ratings.n_movies + ratings.movies[again]
    before = then.stars[order[np.searchsorted(pairs, wanted, sorter=order)]]
    by = ratings.stars[again].astype(np.float64) - before
    counts = np.bincount(ratings.users[again], minlength=ratings.n_users)
    sums = np.bincount(ratings.users[again], by, ratings.n_users)
    who = np.flatnonzero(counts)
    means = sums[who] / counts[who]
    people = np.count_nonzero(np.bincount(ratings.users[moved]))
    signs = rng.choice((-1.0, 1.0), (n, who.size))
    return abs(float(means.sum())) / people, np.abs(signs @ means) / people


def _novelty_of_periods(reference: Ratings, size: int, n: int, rng: np.random.Generator) -> Values:
    """Share of new movies' ratings in ``n`` periods of the reference of ``size`` ratings each.

    A service gets new movies all the time, and whoever is drawn from the reference has rated
    none: what was usual is read off the times at which movies were rated first.
    """
    order = np.argsort(reference.timestamps, kind="stable")
    moments, movies = reference.timestamps[order], reference.movies[order]
    first = np.full(reference.n_movies, np.iinfo(np.int64).max)
    np.minimum.at(first, movies, moments)
    earliest = int(_ESTABLISHED * order.size)
    latest = max(earliest + 1, order.size - min(size, order.size // 2))
    starts = rng.integers(earliest, latest, n)
    return np.array(
        [float(np.mean(first[movies[a : a + size]] >= moments[a])) for a in starts.tolist()]
    )


def _judged(
    values: Mapping[str, float], by_chance: Mapping[str, Values], limits: Limits
) -> tuple[DriftStatistic, ...]:
    """Each figure beside what chance does; p-values corrected by the largest of all figures."""
    # In units of each figure's own tail: by its spread alone a figure with rare large values, such
    # as the crowd, would drown the others.
    middle = {name: float(np.median(drawn)) for name, drawn in by_chance.items()}
    tail = {name: float(np.quantile(drawn, _TAIL)) for name, drawn in by_chance.items()}
    scale = {name: max(tail[name] - middle[name], 1e-9) for name in KINDS}
    largest = np.max([(by_chance[name] - middle[name]) / scale[name] for name in KINDS], axis=0)
    figures = []
    for name in KINDS:
        stands_out = (values[name] - middle[name]) / scale[name]
        p = (1 + int((largest >= stands_out).sum())) / (1 + largest.size)
        limit = limits.of(name)
        drifted = values[name] >= limit and p <= limits.significance
        figures.append(DriftStatistic(name, values[name], limit, tail[name], p, drifted))
    return tuple(figures)
