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
    counts, pauses = ratings.counts, _pauses(ratings, PAUSE_S, LEAST_BEFORE)
    few = MOST_VALIDATION_USERS
    held = _drawn_users(counts, seed, most=MOST_TEST_USERS)
    n_before = _before_last_visit(np.where(held, 0, counts), pauses)
    visitors = _drawn_users(n_before, seed + 1, most=few)
    n_others = np.where(visitors, 0, n_before)
    n_train = _cut(n_others, pauses, few, seed + 1)
    return Development(
        train=_spans(ratings, 0, n_train),
        visitors=_spans(ratings, 0, np.where(visitors, n_before, 0)),
        next_visit=_spans(ratings, n_train, n_others),
        whole=ratings,
        seed=seed,
    )


@dataclass(frozen=True)
class BothTests:
    """A data set without both tests, and the tests, for recipes that are fitted once for both.

    ``before``: the other users' ratings without their last visit. ``held_out``: all ratings of the
    held-out users. ``after``: the others' last visits.
    """

    before: Ratings
    held_out: Ratings
    after: Ratings


def split_both_tests(ratings: Ratings, seed: int) -> BothTests:
    """Hold out users, and cut the last visit of the others.

    The parts are those of :func:`hold_out_users` and then :func:`split_last_visit`.
    """
    counts, pauses = ratings.counts, _pauses(ratings, PAUSE_S, LEAST_BEFORE)
    held = _drawn_users(counts, seed, most=MOST_TEST_USERS)
    n_kept = np.where(held, 0, counts)
    n_before = _before_last_visit(n_kept, pauses)
    return BothTests(
        before=_spans(ratings, 0, n_before),
        held_out=_spans(ratings, 0, np.where(held, counts, 0)),
        after=_spans(ratings, n_before, n_kept),
    )


def _before_last_visit(counts: Ints, pauses: _Pauses) -> Ints:
    """Return each user's number of ratings before the visit of the test, (n_users,)."""
    return _cut(counts, pauses, MOST_TEST_USERS, SPLIT_SEED)


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
    counts = ratings.counts
    cut = _cut(counts, _pauses(ratings, pause_s, least), most, seed)
    return _spans(ratings, 0, cut), _spans(ratings, cut, counts)


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
    chosen = _mask(order[: int(share * len(ratings))], len(ratings))
    del order
    counts = ratings.counts
    with_ratings = np.flatnonzero(counts)
    sampled = _mask(with_ratings, ratings.n_users)
    sampled[_beyond(with_ratings, MOST_TEST_USERS, ratings.n_users, seed)] = False
    # Only the rows of the sample are sorted; each user's place in the order is known by the counts.
    rows = np.flatnonzero(sampled[ratings.users])
    pairs = ratings.users[rows].astype(np.int64) * ratings.n_movies + ratings.movies[rows]
    rows = rows[np.argsort(pairs, kind="stable")]
    test = _mask(rows[chosen[np.repeat(sampled, counts)]], len(ratings))
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
    counts = ratings.counts
    held = _drawn_users(counts, seed, share, most=most)
    n_held = np.where(held, counts, 0)
    return _spans(ratings, n_held, counts), _spans(ratings, 0, n_held)


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


def _drawn_users(counts: Ints, seed: int, share: float = 0.2, *, most: int) -> NDArray[np.bool_]:
    """Return which users are held out, (n_users,); nobody with fewer than two users.

    ``counts``: (n_users,) ratings of each user.
    """
    users = np.flatnonzero(counts)
    if users.size < 2:
        return _mask(users[:0], counts.size)
    n_held = min(max(round(share * users.size), 1), users.size - 1, most)
    chosen = np.random.default_rng(seed).choice(users, size=n_held, replace=False)
    return _mask(chosen, counts.size)


@dataclass(frozen=True)
class _Pauses:
    """The pauses that count: the user, and the place in the history of the rating after it."""

    users: Ints
    places: Ints


def _pauses(ratings: Ratings, pause_s: int, least: int) -> _Pauses:
    """Return the pauses with at least ``least`` ratings before them."""
    order = ratings.order
    users = ratings.users if order is None else ratings.users[order]
    moments = ratings.timestamps if order is None else ratings.timestamps[order]
    is_start = np.diff(moments) >= pause_s
    is_start &= users[1:] == users[:-1]
    rows = np.flatnonzero(is_start) + 1
    places = rows - (np.cumsum(ratings.counts) - ratings.counts)[users[rows]]
    late = places >= least
    return _Pauses(users[rows[late]].astype(np.int64), places[late])


def _cut(lengths: Ints, pauses: _Pauses, most: int, seed: int) -> Ints:
    """Return the place of each user's last pause, or the length without one, (n_users,).

    ``lengths``: (n_users,) numbers of first ratings that are looked at. Of more than ``most`` users
    with a pause, a sample has one.
    """
    inside = pauses.places < lengths[pauses.users]
    cut = np.zeros(lengths.size, dtype=np.int64)
    np.maximum.at(cut, pauses.users[inside], pauses.places[inside])
    cut[_beyond(np.flatnonzero(cut), most, lengths.size, seed)] = 0
    return np.where(cut > 0, cut, lengths)


def _spans(ratings: Ratings, starts: Ints | int, ends: Ints) -> Ratings:
    """Return the ratings at the places ``starts`` up to ``ends`` of each user's history.

    ``starts``, ``ends``: (n_users,).
    """
    offsets = np.cumsum(ratings.counts) - ratings.counts
    steps = np.zeros(len(ratings) + 1, dtype=np.int8)
    # A span may start where the one before it ends.
    np.add.at(steps, offsets + starts, 1)
    np.add.at(steps, offsets + ends, -1)
    inside = np.cumsum(steps[:-1], dtype=np.int8).view(np.bool_)
    if ratings.order is None:
        return ratings.take(inside)
    mask = np.empty(len(ratings), dtype=np.bool_)
    mask[ratings.order] = inside
    return ratings.take(mask)


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
