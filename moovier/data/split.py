"""Splits of ratings into training, validation and test parts.

The ranking protocol splits each user's ratings by time, the rating protocol splits rows at
random, and the protocol for new people sets whole users aside (docs/metrics.md). Every split
conserves rows: each rating lands in exactly one part, over the same index.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moovier.data.arrays import Ints, Ratings


@dataclass(frozen=True)
class Split:
    """Three parts of the same ratings; per user, train is before validation is before test."""

    train: Ratings
    validation: Ratings
    test: Ratings


def by_time(ratings: Ratings, test_share: float = 0.2) -> tuple[Ratings, Ratings]:
    """Cut each user's ratings in time: ``(earlier, later)``.

    Of a user's n ratings, sorted by timestamp with ties in row order, those from position
    ceil((1 - test_share) * n) on are the later part, so nobody's earlier part is empty: a single
    rating stays in it. ``test_share`` is from 0 up to, not including, 1.
    """
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share must lie in [0, 1), got {test_share}")
    position, count = _positions(ratings)
    # Rounded first: 0.8 * 5 is 4.000000000000001 in binary for some shares, and its ceiling 5.
    cut = np.ceil(np.round((1 - test_share) * count, 9)).astype(np.int64)
    later = position >= np.maximum(cut, 1)[ratings.users]
    return ratings.take(~later), ratings.take(later)


def time_split(ratings: Ratings, test_share: float = 0.2) -> Split:
    """The ranking protocol: the last share of each user is the test, the last share of what
    precedes it the validation part."""
    rest, test = by_time(ratings, test_share)
    train, validation = by_time(rest, test_share)
    return Split(train, validation, test)


def random_split(ratings: Ratings, seed: int, share: float = 0.1) -> tuple[Ratings, Ratings]:
    """The rating protocol: ``(train, test)``, where the test part is the first
    ``int(share * n)`` rows of ``numpy.random.default_rng(seed).permutation(n)``."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    n_test = int(share * len(ratings))
    return ratings.take(np.sort(order[n_test:])), ratings.take(np.sort(order[:n_test]))


def hold_out_users(ratings: Ratings, seed: int, share: float = 0.2) -> tuple[Ratings, Ratings]:
    """The protocol for new people: ``(kept, held_out)``, whole users drawn by ``seed``.

    ``held_out`` has round(share * users with ratings) users, at least one and never all.
    """
    users = np.unique(ratings.users)
    if users.size < 2:
        raise ValueError("at least two users with ratings are needed to hold one out")
    n_held = min(max(round(share * users.size), 1), users.size - 1)
    chosen = np.random.default_rng(seed).choice(users, size=n_held, replace=False)
    held = np.isin(ratings.users, chosen)
    return ratings.take(~held), ratings.take(held)


def by_global_time(ratings: Ratings, quantile: float = 0.9) -> tuple[Ratings, Ratings]:
    """``(until, after)`` the given quantile of all timestamps, the same moment for everybody."""
    moment = np.quantile(ratings.timestamps, quantile)
    after: NDArray[np.bool_] = ratings.timestamps > moment
    return ratings.take(~after), ratings.take(after)


def _positions(ratings: Ratings) -> tuple[Ints, Ints]:
    """Each rating's position in its user's history, (n,), and ratings per user, (n_users,)."""
    order = np.lexsort((np.arange(len(ratings)), ratings.timestamps, ratings.users))
    counts = np.bincount(ratings.users, minlength=ratings.n_users).astype(np.int64)
    starts = np.cumsum(counts) - counts
    position = np.empty(len(ratings), dtype=np.int64)
    position[order] = np.arange(len(ratings)) - np.repeat(starts, counts)
    return position, counts
