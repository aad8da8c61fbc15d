"""What chance alone does: windows of the reference, drawn the way the new ratings came.

A person's ratings hang together, so people are drawn, not ratings: each drawn window has as many
people as the new ratings, each matched by how much he or she rated, giving as many ratings in one
piece of the history. Half of the windows are drawn from all of the reference, half from one era
of it, since tastes and catalogues move by themselves: what is no greater than the difference
between the reference's own eras is no drift.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from moovier.monitoring.dataset_diff import Bools
from moovier.monitoring.profiles import Ints, Reference, Rows, sampled

#: An era is at least this share of the people.
_SHORTEST_ERA = 0.05
_FEWEST = 20


@dataclass(frozen=True)
class Crowd:
    """How the new ratings came, one entry a person.

    ``given``: new ratings; ``total``: all ratings there are of the person now; ``new``: the
    reference does not know the person.
    """

    given: Ints
    total: Ints
    new: Bools


def draws(reference: Reference, crowd: Crowd, n: int, rng: np.random.Generator) -> Iterator[Rows]:
    """``n`` windows of the reference."""
    there = np.flatnonzero(reference.lengths > 0)
    h = reference.histories
    middle = h.offsets[there] + reference.lengths[there] // 2
    by_time = there[np.argsort(h.timestamps[middle], kind="stable")]
    for number in range(n):
        pool = by_time
        if number % 2:
            pool = _era(by_time, rng)
        yield _draw(reference, crowd, pool, natural=number % 4 < 2, rng=rng)


def _era(by_time: Ints, rng: np.random.Generator) -> Ints:
    fewest = min(by_time.size, max(_FEWEST, int(_SHORTEST_ERA * by_time.size)))
    size = int(rng.integers(fewest, max(fewest, by_time.size // 2) + 1))
    start = int(rng.integers(0, by_time.size - size + 1))
    return by_time[start : start + size]


def _draw(
    reference: Reference, crowd: Crowd, pool: Ints, *, natural: bool, rng: np.random.Generator
) -> Rows:
    """One window. ``natural``: new people give their first ratings, others their last ones."""
    lengths = reference.lengths
    by_length = pool[np.argsort(lengths[pool], kind="stable")]
    ordered = lengths[by_length]
    near = max(10, by_length.size // 10)
    wanted = np.searchsorted(ordered, crowd.total) + rng.integers(-near, near + 1, crowd.total.size)
    last = by_length.size - 1
    wanted = np.abs(wanted)
    wanted = np.clip(np.where(wanted > last, 2 * last - wanted, wanted), 0, last)
    drawn = by_length[wanted]
    size = np.minimum(crowd.given, lengths[drawn])
    spare = lengths[drawn] - size
    if natural:
        start = np.where(crowd.new, 0, spare)
    else:
        start = np.floor(rng.random(drawn.size) * (spare + 1)).astype(np.int64)
    people, places = sampled(size, rng.random(drawn.size))
    first = reference.histories.offsets[drawn] + start
    return reference.rows(people, first[people] + places)
