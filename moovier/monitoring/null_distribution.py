"""Draw windows of the reference with the shape of the new ratings: the null distribution.

The ratings of one user depend on each other, so users are drawn instead of ratings. Each window
has as many users as the new ratings. Each drawn user has a similar number of ratings as the
matched one, and gives as many in one consecutive piece of the history. Half of the windows come
from the whole reference and half from one era of it, since tastes and catalogues change by
themselves: a difference no larger than that between eras of the reference is not drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from moovier.monitoring.dataset_diff import Bools
from moovier.monitoring.profiles import Ints, Reference, Rows, sample_evenly

#: Smallest share of the users in an era, and smallest number.
_MIN_ERA_SHARE = 0.05
_MIN_ERA_USERS = 20


@dataclass(frozen=True)
class WindowShape:
    """The number of new ratings of each user, (n_users,) each.

    Attributes:
        counts: Number of new ratings of the user.
        totals: Number of all current ratings of the user.
        new: Whether the reference lacks the user.
    """

    counts: Ints
    totals: Ints
    new: Bools


def draw_windows(
    reference: Reference, shape: WindowShape, n: int, rng: np.random.Generator
) -> Iterator[Rows]:
    """Draw ``n`` windows of the reference."""
    users = np.flatnonzero(reference.lengths > 0)
    histories = reference.histories
    middle = histories.offsets[users] + reference.lengths[users] // 2
    by_time = users[np.argsort(histories.timestamps[middle], kind="stable")]
    for number in range(n):
        pool = _era(by_time, rng) if number % 2 else by_time
        yield _draw(reference, shape, pool, natural=number % 4 < 2, rng=rng)


def _era(by_time: Ints, rng: np.random.Generator) -> Ints:
    """Return consecutive users: from the smallest era to half of all."""
    smallest = min(by_time.size, max(_MIN_ERA_USERS, int(_MIN_ERA_SHARE * by_time.size)))
    size = int(rng.integers(smallest, max(smallest, by_time.size // 2) + 1))
    start = int(rng.integers(0, by_time.size - size + 1))
    return by_time[start : start + size]


def _draw(
    reference: Reference, shape: WindowShape, pool: Ints, *, natural: bool, rng: np.random.Generator
) -> Rows:
    """Draw one window of the users in ``pool``.

    With ``natural``, new users give their first ratings and others their last ones; otherwise
    the piece of the history starts anywhere.
    """
    lengths = reference.lengths
    by_length = pool[np.argsort(lengths[pool], kind="stable")]
    ordered = lengths[by_length]
    near = max(10, by_length.size // 10)
    n_users = shape.totals.size
    wanted = np.searchsorted(ordered, shape.totals) + rng.integers(-near, near + 1, n_users)
    last = by_length.size - 1
    # Places beyond the ends are reflected, so that the ends are not drawn more often.
    wanted = np.abs(wanted)
    wanted = np.clip(np.where(wanted > last, 2 * last - wanted, wanted), 0, last)
    drawn = by_length[wanted]
    size = np.minimum(shape.counts, lengths[drawn])
    spare = lengths[drawn] - size
    if natural:
        start = np.where(shape.new, 0, spare)
    else:
        start = np.floor(rng.random(drawn.size) * (spare + 1)).astype(np.int64)
    people, places = sample_evenly(size, rng.random(drawn.size))
    first = reference.histories.offsets[drawn] + start
    return reference.rows(people, first[people] + places)
