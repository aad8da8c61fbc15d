"""Measure how users like recommended movies, from ratings that quote a list's request id.

The movies of a list are known only if served lists are recorded. Without records, every rating
that quotes a list counts as a rating of a recommended movie, and the metrics about lists are None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import LIKED_STARS

#: Fewest ratings of recommended movies, and fewest users who gave them, for a conclusion.
MIN_RATINGS, MIN_USERS = 50, 10
_DRAWS = 2000
_CONFIDENCE = 0.95


class QuotingRating(Protocol):
    """A rating that may quote the list that led to it."""

    @property
    def user_id(self) -> int:
        """The user's id."""

    @property
    def movie_id(self) -> int:
        """The movie's id."""

    @property
    def stars(self) -> float:
        """Stars of the rating, 0.5 to 5."""

    @property
    def request_id(self) -> str | None:
        """Request id of the quoted list; None if no list is quoted."""


class RecordedList(Protocol):
    """A recorded list that the service served."""

    @property
    def request_id(self) -> str:
        """Request id of the list."""

    @property
    def version(self) -> int:
        """Version number of the model."""

    @property
    def movie_ids(self) -> Sequence[int]:
        """Ids of the movies, best first."""


@dataclass(frozen=True)
class Quality:
    """Metrics of a set of ratings; NaN without any rating.

    Attributes:
        ratings: Number of ratings.
        people: Number of users who gave them.
        stars: Mean stars.
        liked: Share with at least :data:`LIKED_STARS` stars, 0 to 1.
        low: Lower end of the 95 % interval of ``liked``.
        high: Upper end of the 95 % interval of ``liked``.
    """

    ratings: int
    people: int
    stars: float
    liked: float
    low: float
    high: float


@dataclass(frozen=True)
class LiveQuality:
    """Ratings of recommended movies compared with all other ratings.

    Attributes:
        recommended: Quality of the ratings of recommended movies.
        others: Quality of all other ratings.
        gain: Liked share of ``recommended`` minus that of ``others``.
        low: Lower end of the 95 % interval of ``gain``.
        high: Upper end of the 95 % interval of ``gain``.
        lists: Number of served lists; None if they are not recorded.
        rated_share: Share of the served lists with at least one rated movie; None if they are not
            recorded.
        by_version: Quality of the recommended movies by version number of the model.
    """

    recommended: Quality
    others: Quality
    gain: float
    low: float
    high: float
    lists: int | None = None
    rated_share: float | None = None
    by_version: Mapping[int, Quality] = field(default_factory=dict)

    @property
    def enough(self) -> bool:
        """Whether the ratings are enough for a conclusion."""
        n_ratings = min(self.recommended.ratings, self.others.ratings)
        return n_ratings >= MIN_RATINGS and self.recommended.people >= MIN_USERS


def measure_live_quality(
    ratings: Sequence[QuotingRating], lists: Iterable[RecordedList] | None, *, seed: int
) -> LiveQuality:
    """Compare ratings of recommended movies with all other ratings.

    ``lists`` holds the served lists, each request id once, or None if they are not recorded.
    Ratings that quote an unrecorded list are left out: nothing says whether the list had the
    movie. ``seed`` is that of the bootstrap.
    """
    quoted_ids = {rating.request_id for rating in ratings}
    # Lists are many and few of them are quoted, so the others are only counted.
    quoted: dict[str, RecordedList] = {}
    n_lists = 0
    for recorded in lists or ():
        n_lists += 1
        if recorded.request_id in quoted_ids:
            quoted[recorded.request_id] = recorded
    recommended: list[QuotingRating] = []
    others: list[QuotingRating] = []
    by_version: dict[int, list[QuotingRating]] = {}
    rated_lists: set[str] = set()
    for rating in ratings:
        if rating.request_id is None:
            others.append(rating)
        elif lists is None:
            recommended.append(rating)
        elif (source := quoted.get(rating.request_id)) is None:
            continue
        elif rating.movie_id in source.movie_ids:
            recommended.append(rating)
            rated_lists.add(rating.request_id)
            by_version.setdefault(source.version, []).append(rating)
        else:
            others.append(rating)
    gain, low, high = _gain(recommended, others, seed)
    return LiveQuality(
        recommended=_quality(recommended),
        others=_quality(others),
        gain=gain,
        low=low,
        high=high,
        lists=None if lists is None else n_lists,
        rated_share=len(rated_lists) / n_lists if n_lists else None,
        by_version={number: _quality(by_version[number]) for number in sorted(by_version)},
    )


def _quality(ratings: Sequence[QuotingRating]) -> Quality:
    if not ratings:
        nan = float("nan")
        return Quality(0, 0, nan, nan, nan, nan)
    from scipy.stats import binomtest

    stars = np.array([rating.stars for rating in ratings])
    liked = int((stars >= LIKED_STARS).sum())
    # Wilson 1927, doi:10.1080/01621459.1927.10502953: within 0 to 1 even for few ratings.
    interval = binomtest(liked, stars.size).proportion_ci(_CONFIDENCE, method="wilson")
    people = len({rating.user_id for rating in ratings})
    return Quality(
        ratings=stars.size,
        people=people,
        stars=float(stars.mean()),
        liked=liked / stars.size,
        low=float(interval.low),
        high=float(interval.high),
    )


def _gain(
    recommended: Sequence[QuotingRating], others: Sequence[QuotingRating], seed: int
) -> tuple[float, float, float]:
    """Return the difference of the liked shares and its percentile bootstrap interval.

    The ratings of one user depend on each other, so the bootstrap draws users.
    """
    if not recommended or not others:
        return float("nan"), float("nan"), float("nan")
    users = sorted({rating.user_id for rating in (*recommended, *others)})
    rows = {user: row for row, user in enumerate(users)}
    liked, counts = _per_user(recommended, rows)
    liked_others, counts_others = _per_user(others, rows)
    gain = liked.sum() / counts.sum() - liked_others.sum() / counts_others.sum()
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(_DRAWS):
        drawn = rng.integers(0, len(users), len(users))
        n, n_others = counts[drawn].sum(), counts_others[drawn].sum()
        if n and n_others:
            draws.append(liked[drawn].sum() / n - liked_others[drawn].sum() / n_others)
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (np.nan, np.nan)
    return float(gain), float(low), float(high)


def _per_user(
    ratings: Sequence[QuotingRating], rows: Mapping[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each user's number of liked ratings and of all ratings, (n_users,) each."""
    liked, counts = np.zeros(len(rows)), np.zeros(len(rows))
    for rating in ratings:
        row = rows[rating.user_id]
        counts[row] += 1
        liked[row] += rating.stars >= LIKED_STARS
    return liked, counts
