"""Splits of ratings into training, validation and test parts.

Two protocols decide (docs/metrics.md). *Visitor*: whole users are held out by seed. *Next visit*:
everything after a user's last pause is held out. :func:`development_split` gives what tuning may
see: the ratings without both tests, cut again in the same two ways. The older splits (last share
by time, random rows, one moment for all users) are reported.

Every split conserves rows: each rating lands in exactly one part, over the same index.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Ints, Ratings

#: A visit ends where nothing is rated for this long, in seconds.
PAUSE_S = 86_400
#: Ratings that a user must have before the pause that starts the test.
LEAST_BEFORE = 10
#: Seed of every split whose test figures are published or compared.
SPLIT_SEED = 0
#: Most users in the test of each protocol, and in each validation part. More would cost time and
#: change no decision: the interval of a mean over 4,000 users is a hundredth wide.
MOST_TEST_USERS, MOST_VALIDATION_USERS = 4000, 500


@dataclass(frozen=True)
class Development:
    """The ratings that tuning may see: no rating of a test user, and no test visit.

    ``train``: what ranking models are fitted on. ``visitors``: all remaining ratings of the
    validation visitors, who have no rating in ``train``. ``next_visit``: the last visit of users
    in ``train``, as far as it has :data:`LEAST_BEFORE` ratings before it. ``stars_train`` and
    ``stars_validation``: the same for rating models, random rows outside the test of the stars.
    They are drawn from ``whole``, all ratings, when they are needed, because they are copies.
    """

    train: Ratings
    visitors: Ratings
    next_visit: Ratings
    whole: Ratings
    seed: int
    drawn: list[tuple[Ratings, Ratings]] = field(default_factory=list, repr=False)

    @property
    def stars_train(self) -> Ratings:
        """What rating models are fitted on."""
        return self._stars()[0]

    @property
    def stars_validation(self) -> Ratings:
        """The validation rows of rating models."""
        return self._stars()[1]

    def _stars(self) -> tuple[Ratings, Ratings]:
        if not self.drawn:
            rows, _ = random_split(self.whole, self.seed)
            self.drawn.append(random_split(rows, self.seed + 1))
        return self.drawn[0]


def development_split(ratings: Ratings, seed: int = SPLIT_SEED) -> Development:
    """Cut the validation parts from what the tests of ``seed`` leave.

    The test of visitors is ``hold_out_users(ratings, seed)``, the test of the next visit is
    ``split_last_visit(ratings)``. With too few users the parts ``visitors`` and ``next_visit``
    are empty. Large data sets give each part a sample of the users (:data:`MOST_VALIDATION_USERS`).
    """
    kept, _ = hold_out_users_if_possible(ratings, seed)
    before, _ = split_last_visit(kept)
    few = MOST_VALIDATION_USERS
    others, visitors = hold_out_users_if_possible(before, seed + 1, most=few)
    train, next_visit = split_last_visit(others, most=few, seed=seed + 1)
    return Development(train, visitors, next_visit, ratings, seed)


def split_last_visit(
    ratings: Ratings,
    *,
    pause_s: int = PAUSE_S,
    least: int = LEAST_BEFORE,
    most: int = MOST_TEST_USERS,
    seed: int = SPLIT_SEED,
) -> tuple[Ratings, Ratings]:
    """Cut each user's ratings at the last pause: ``(before, after)``.

    A pause is a gap of at least ``pause_s`` seconds between two ratings of one user, sorted by
    time with ties in row order. It counts when at least ``least`` ratings come before it. Users
    without such a pause are wholly in ``before``. Of more than ``most`` users with one, ``seed``
    draws as many; without some of the users, the others of the sample stay in it.
    """
    order = np.arange(len(ratings)) if ratings.order is None else ratings.order
    users, moments = ratings.users[order], ratings.timestamps[order]
    position, _ = _positions(ratings)
    ordered = position[order]
    starts = np.zeros(len(ratings), dtype=np.bool_)
    starts[1:] = (users[1:] == users[:-1]) & (np.diff(moments) >= pause_s)
    starts &= ordered >= least
    cut = np.zeros(ratings.n_users, dtype=np.int64)
    np.maximum.at(cut, users[starts], ordered[starts])
    cut[_beyond(np.flatnonzero(cut), most, ratings.n_users, seed)] = 0
    cut_of = cut[ratings.users]
    after: NDArray[np.bool_] = (cut_of > 0) & (position >= cut_of)
    return ratings.take(~after), ratings.take(after)


def split_last_share(ratings: Ratings, test_share: float = 0.2) -> tuple[Ratings, Ratings]:
    """Cut each user's ratings in time: ``(earlier, later)``.

    This protocol was the first one here. It is reported for comparison with papers. Of a user's n
    ratings, sorted by timestamp with ties in row order, those from position
    ceil((1 - test_share) * n) on are the later part. The earlier part of a user is never empty: a
    single rating stays in it. ``test_share`` is from 0 up to, not including, 1.
    """
    if not 0 <= test_share < 1:
        raise ValueError(f"test_share must be from 0 to below 1, not {test_share}")
    position, count = _positions(ratings)
    # Rounded first: 0.8 * 5 is 4.000000000000001 in binary for some shares, and its ceiling 5.
    cut = np.ceil(np.round((1 - test_share) * count, 9)).astype(np.int64)
    later = position >= np.maximum(cut, 1)[ratings.users]
    return ratings.take(~later), ratings.take(later)


def random_split(ratings: Ratings, seed: int, share: float = 0.1) -> tuple[Ratings, Ratings]:
    """Draw rows for the rating protocol: ``(train, test)``.

    The test part is the first ``int(share * n)`` rows of
    ``numpy.random.default_rng(seed).permutation(n)``. Rows count by user, then by movie, as in
    MovieLens's files, in any order of ``ratings``. Of more than :data:`MOST_TEST_USERS` users
    with a rating, only a sample drawn by ``seed`` has rows in it.
    """
    order = np.random.default_rng(seed).permutation(len(ratings))
    n_test = int(share * len(ratings))
    by_user_and_movie = np.argsort(
        ratings.users.astype(np.int64) * ratings.n_movies + ratings.movies, kind="stable"
    )
    test = _mask(by_user_and_movie[order[:n_test]], len(ratings))
    with_ratings = np.flatnonzero(ratings.counts)
    beyond = _beyond(with_ratings, MOST_TEST_USERS, ratings.n_users, seed)
    if beyond.size:
        test &= ~_mask(beyond, ratings.n_users)[ratings.users]
    return ratings.take(~test), ratings.take(test)


def hold_out_users(
    ratings: Ratings, seed: int, share: float = 0.2, *, most: int = MOST_TEST_USERS
) -> tuple[Ratings, Ratings]:
    """Hold out whole users drawn by ``seed``: ``(kept, held_out)``.

    ``held_out`` has round(share * users with ratings) users, at least one, never all, and not
    more than ``most``.
    """
    users = np.flatnonzero(ratings.counts)
    if users.size < 2:
        raise ValueError(
            f"at least two users with ratings are needed to hold users out, not {users.size}"
        )
    n_held = min(max(round(share * users.size), 1), users.size - 1, most)
    chosen = np.random.default_rng(seed).choice(users, size=n_held, replace=False)
    held = _mask(chosen, ratings.n_users)[ratings.users]
    return ratings.take(~held), ratings.take(held)


def hold_out_users_if_possible(
    ratings: Ratings, seed: int, *, most: int = MOST_TEST_USERS
) -> tuple[Ratings, Ratings]:
    """Return :func:`hold_out_users`, or an empty second part with fewer than two users."""
    if np.count_nonzero(ratings.counts) < 2:
        return ratings, ratings.take(np.empty(0, dtype=np.int64))
    return hold_out_users(ratings, seed, most=most)


def split_at_time(ratings: Ratings, quantile: float = 0.9) -> tuple[Ratings, Ratings]:
    """Cut all users at one moment, a quantile of all timestamps: ``(until, after)``."""
    if not len(ratings):
        return ratings, ratings
    moment = np.quantile(ratings.timestamps, quantile)
    after: NDArray[np.bool_] = ratings.timestamps > moment
    return ratings.take(~after), ratings.take(after)


def _beyond(users: Ints, most: int, n_users: int, seed: int) -> Ints:
    """Return the users outside a sample of ``most`` users.

    The seed ranks all users once, so the samples of two subsets share as many users as possible.
    """
    if users.size <= most:
        return users[:0]
    rank = np.random.default_rng(seed).permutation(n_users)
    return users[np.argsort(rank[users])[most:]]


def _mask(chosen: Ints, size: int) -> NDArray[np.bool_]:
    """Return which of the numbers 0 to ``size - 1`` are chosen, (size,)."""
    mask = np.zeros(size, dtype=np.bool_)
    mask[chosen] = True
    return mask


def _positions(ratings: Ratings) -> tuple[Ints, Ints]:
    """Return each rating's position in its user's history, (n,), and the users' counts."""
    counts = ratings.counts
    starts = np.cumsum(counts) - counts
    ordered = np.arange(len(ratings)) - np.repeat(starts, counts)
    if ratings.order is None:
        return ordered, counts
    position = np.empty(len(ratings), dtype=np.int64)
    position[ratings.order] = ordered
    return position, counts
