"""Test whether added or removed ratings differ from those that the model was trained on.

A few statistics describe the added ratings. Each one is a distance from what the reference would
have given (:mod:`moovier.monitoring.null_distribution`). A statistic has drifted if it reaches its
limit (:class:`Limits`) *and* chance does not explain it. Its p-value is the share of windows drawn
from the reference in which any statistic stands out as much. This correction for multiple tests
keeps the chance of a false alarm below the significance level for any number of statistics and
any correlation between them. Source: single-step maxT, Westfall & Young 1993, "Resampling-Based
Multiple Testing", ISBN 978-0-471-55761-6. docs/decisions/monitoring.md says why no library is
used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Ratings
from moovier.monitoring.dataset_diff import Bools, Change
from moovier.monitoring.distances import Values, js_distance, wasserstein
from moovier.monitoring.null_distribution import WindowShape, draw_windows
from moovier.monitoring.profiles import Profile, Reference, sample_evenly

Ints = NDArray[np.int64]
#: Number of windows drawn from the reference.
DRAWS = 500
#: Largest number of users that drift is measured on; more are sampled.
MAX_USERS = 2000
#: Smallest number of ratings that drift is measured on.
MIN_RATINGS = 20
#: Kind of drift by statistic.
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
#: Factor on the limit of the kind, for statistics on a different scale.
_SCALE = {"crowd": 2.0, "tastes": 0.6}
#: Quantile of the drawn windows at which a statistic's tail begins.
_TAIL = 0.99
#: Periods for the usual share of new movies start after this share of the reference: earlier on,
#: nearly every movie is new.
_ESTABLISHED = 0.3


@dataclass(frozen=True)
class Limits:
    """The smallest value that counts as drift, by kind of drift.

    Attributes:
        significance: Largest p-value that counts as drift, 0 to 1.
        ratings: Shift of the distribution of stars, in stars.
        users: Lost share of the agreement with earlier users, 0 to 1.
        movies: Jensen-Shannon distance, 0 to 1.
        genres: Jensen-Shannon distance, 0 to 1.
    """

    significance: float = 0.01
    ratings: float = 0.25
    users: float = 0.5
    movies: float = 0.2
    genres: float = 0.25

    def of(self, statistic: str) -> float:
        """Return the limit of a statistic, by its name in :data:`KINDS`."""
        by_kind = {
            "ratings": self.ratings,
            "users": self.users,
            "movies": self.movies,
            "genres": self.genres,
        }
        return by_kind[KINDS[statistic]] * _SCALE.get(statistic, 1.0)


@dataclass(frozen=True)
class DriftStatistic:
    """One distance between the ratings and the reference.

    Attributes:
        name: A key of :data:`KINDS`.
        value: The distance, at least 0.
        limit: The smallest value that counts as drift.
        chance: The 99 % quantile of the drawn windows.
        p: Probability that any statistic stands out as much by chance, 0 to 1.
        drifted: Whether the value reaches the limit and is significant.
    """

    name: str
    value: float
    limit: float
    chance: float
    p: float
    drifted: bool

    @property
    def kind(self) -> str:
        """The kind of drift that this statistic measures."""
        return KINDS[self.name]


@dataclass(frozen=True)
class Expected:
    """The mean profile of the drawn windows; the fields are those of :class:`Profile`."""

    stars: Values
    popularity: Values
    genres: Values
    novel: float
    agreement: float
    tastes: Values
    crowd: Values


@dataclass(frozen=True)
class Drift:
    """The result of a drift test.

    Attributes:
        people: Number of users that were measured.
        ratings: Number of ratings that were measured.
        statistics: One entry for each key of :data:`KINDS`; empty for fewer than
            :data:`MIN_RATINGS` ratings.
        seen: Profile of the measured ratings; None for too few ratings.
        expected: Mean profile of the drawn windows; None for too few ratings.
    """

    people: int
    ratings: int
    statistics: tuple[DriftStatistic, ...] = ()
    seen: Profile | None = None
    expected: Expected | None = None

    @property
    def drifted(self) -> tuple[DriftStatistic, ...]:
        """The statistics that drifted."""
        return tuple(statistic for statistic in self.statistics if statistic.drifted)


def added_drift(change: Change, limits: Limits, *, seed: int, n: int = DRAWS) -> Drift:
    """Measure the drift of the ratings that the current data have and the reference lacks."""
    return _measure(change, change.current, change.added, limits, seed, n)


def removed_drift(change: Change, limits: Limits, *, seed: int, n: int = DRAWS) -> Drift:
    """Measure whether the deleted ratings differ from the others.

    A rating whose stars changed is not deleted.
    """
    deleted = change.removed.copy()
    deleted[change.removed] = ~change.reference.take(change.removed).isin(change.current)
    return _measure(change, change.reference, deleted, limits, seed, n)


def _measure(
    change: Change, ratings: Ratings, selected: Bools, limits: Limits, seed: int, n: int
) -> Drift:
    """Compare the selected rows of ``ratings`` with ``n`` windows of the reference."""
    rng = np.random.default_rng(seed)
    histories = ratings.take(selected).histories
    counts = histories.counts()
    users = np.flatnonzero(counts)
    if users.size > MAX_USERS:
        users = np.sort(rng.choice(users, MAX_USERS, replace=False))
    n_ratings = int(counts[users].sum())
    if n_ratings < MIN_RATINGS or not len(change.reference):
        return Drift(int(users.size), n_ratings)
    reference = Reference(change.reference, change.genres)
    totals = np.bincount(ratings.users, minlength=ratings.n_users)
    shape = WindowShape(counts[users], totals[users], change.new_users[users])
    people, places = sample_evenly(counts[users], rng.random(users.size))
    at = histories.offsets[users][people] + places
    rows = reference.external_rows(
        people, users[people], histories.movies[at].astype(np.int64), histories.stars[at]
    )
    seen = reference.profile(rows)
    windows = [reference.profile(window) for window in draw_windows(reference, shape, n, rng)]
    expected = _mean_profile(windows, change.movies.size)
    values = _distances(seen, expected)
    by_chance = {name: np.empty(n) for name in KINDS}
    for number, window in enumerate(windows):
        for name, value in _distances(window, expected).items():
            by_chance[name][number] = value
    values["rerated"], by_chance["rerated"] = _rerated(change, ratings, selected, n, rng)
    periods = _novelty_of_periods(change.reference, int(selected.sum()), n // 2, rng)
    by_chance["novel"][::2] = np.maximum(
        by_chance["novel"][::2], np.resize(periods, (n + 1) // 2) - expected.novel
    )
    statistics = _statistics(values, by_chance, limits)
    return Drift(int(users.size), n_ratings, statistics, seen, expected)


def _mean_profile(windows: Sequence[Profile], n_movies: int) -> Expected:
    tastes = np.array([window.tastes for window in windows])
    agreement = np.array([window.agreement for window in windows])
    crowd = np.zeros(n_movies)
    for window in windows:
        movies, shares = window.crowd
        crowd[movies] += shares / len(windows)
    return Expected(
        stars=np.mean([window.stars for window in windows], axis=0),
        popularity=np.mean([window.popularity for window in windows], axis=0),
        genres=np.mean([window.genres for window in windows], axis=0),
        novel=float(np.mean([window.novel for window in windows])),
        agreement=float(_nan_mean(agreement)),
        tastes=_nan_mean(tastes),
        crowd=crowd,
    )


def _nan_mean(values: Values) -> Values:
    """Return the mean over the first axis without NaN; 0 where every value is NaN."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Values = total / np.maximum(known.sum(axis=0), 1)
    return mean


def _distances(window: Profile, expected: Expected) -> dict[str, float]:
    """Return each statistic of a window, at least 0; an undefined one is 0."""
    lost = 0.0
    if expected.agreement > 0 and np.isfinite(window.agreement):
        # More agreement than expected does no harm.
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
    change: Change, ratings: Ratings, selected: Bools, n: int, rng: np.random.Generator
) -> tuple[float, Values]:
    """Return by how many stars users changed their own ratings, and the same by chance, (n,).

    The value is the mean over the users with a selected rating. By chance a user raises a rating
    as often as he or she lowers it: each of the ``n`` draws keeps or flips the sign of all changes
    of a user (Fisher's randomisation test for paired differences).
    """
    earlier = change.reference
    chosen = np.flatnonzero(selected)
    again = chosen[ratings.take(chosen).isin(earlier)]
    pairs = earlier.pairs
    order = np.argsort(pairs, kind="stable")
    wanted = ratings.take(again).pairs
    before = earlier.stars[order[np.searchsorted(pairs, wanted, sorter=order)]]
    differences = ratings.stars[again].astype(np.float64) - before
    counts = np.bincount(ratings.users[again], minlength=ratings.n_users)
    sums = np.bincount(ratings.users[again], differences, ratings.n_users)
    users = np.flatnonzero(counts)
    means = sums[users] / counts[users]
    n_users = np.count_nonzero(np.bincount(ratings.users[selected]))
    signs = rng.choice((-1.0, 1.0), (n, users.size))
    return abs(float(means.sum())) / n_users, np.abs(signs @ means) / n_users


def _novelty_of_periods(reference: Ratings, size: int, n: int, rng: np.random.Generator) -> Values:
    """Return the share of new movies in ``n`` periods of the reference of ``size`` ratings each.

    A service gets new movies all the time, but windows drawn from the reference have none. The
    usual share therefore comes from the times at which movies got their first rating.
    """
    order = np.argsort(reference.timestamps, kind="stable")
    timestamps, movies = reference.timestamps[order], reference.movies[order]
    first = np.full(reference.n_movies, np.iinfo(np.int64).max)
    np.minimum.at(first, movies, timestamps)
    earliest = int(_ESTABLISHED * order.size)
    latest = max(earliest + 1, order.size - min(size, order.size // 2))
    starts = rng.integers(earliest, latest, n)
    return np.array(
        [
            float(np.mean(first[movies[start : start + size]] >= timestamps[start]))
            for start in starts.tolist()
        ]
    )


def _statistics(
    values: Mapping[str, float], by_chance: Mapping[str, Values], limits: Limits
) -> tuple[DriftStatistic, ...]:
    """Return each statistic with a p-value corrected by the largest of all statistics."""
    # The unit is each statistic's own tail. In units of the standard deviation a statistic with
    # rare large values, such as the crowd, would hide the others.
    middle = {name: float(np.median(drawn)) for name, drawn in by_chance.items()}
    tail = {name: float(np.quantile(drawn, _TAIL)) for name, drawn in by_chance.items()}
    scale = {name: max(tail[name] - middle[name], 1e-9) for name in KINDS}
    largest = np.max([(by_chance[name] - middle[name]) / scale[name] for name in KINDS], axis=0)
    statistics = []
    for name in KINDS:
        stands_out = (values[name] - middle[name]) / scale[name]
        p = (1 + int((largest >= stands_out).sum())) / (1 + largest.size)
        limit = limits.of(name)
        drifted = values[name] >= limit and p <= limits.significance
        statistics.append(DriftStatistic(name, values[name], limit, tail[name], p, drifted))
    return tuple(statistics)
