"""Training examples of the denoising autoencoder, drawn from histories.

:mod:`moovier.models.dae` describes the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats, Histories, Ints
from moovier.data.split import LEAST_BEFORE, PAUSE_S
from moovier.models.dae_scoring import DaeParams
from moovier.models.family import as_float32

#: Fewest ratings that stay as targets when a part of a history is drawn.
LEAST_TARGETS = 5
#: Largest share of a history that is drawn as input.
LARGEST_PART = 0.8
#: Next visits per user that serve as examples, the latest ones.
MOST_VISITS = 5
#: Lowest stars of a target of full weight.
LIKED = 4.0

#: Parallel columns: rows of examples, positions of ratings, and their weights or gains.
_Columns = tuple[Ints, Ints, Floats]


@dataclass(frozen=True)
class Batch:
    """Training examples as sparse rows.

    ``rows``, ``places``, ``weights``, ``stars``: (n,) input ratings, by example and covered
    movie. ``targets``: (n_examples, n_covered), rows that sum to 1.
    """

    rows: Ints
    places: Ints
    weights: Floats
    stars: Floats
    targets: Floats


class Examples:
    """A random source of training examples.

    The first kind of example has k ratings of one user as input, k log-uniform from 1 to
    :data:`LARGEST_PART` of the history. The other ratings are the targets: a liked movie weighs
    1, another ``unliked_weight``. The second kind has all ratings before a visit as input,
    weighted by age. All ratings of that visit and later are the targets.
    """

    def __init__(
        self,
        histories: Histories,
        covered: Ints,
        params: DaeParams,
        seed: int,
        *,
        least_targets: int = LEAST_TARGETS,
    ) -> None:
        self._random = np.random.default_rng(seed)
        self._params = params
        self._n_covered = covered.size
        # 32 bits, because there is one place for each rating of the training.
        position = np.full(histories.n_movies, -1, dtype=np.int32)
        position[covered] = np.arange(covered.size)
        self._places: NDArray[np.int32] = position[histories.movies]
        self._stars = histories.stars
        self._timestamps = histories.timestamps
        self._offsets = histories.offsets
        counts = histories.counts()
        self._users = np.flatnonzero(counts > least_targets)
        self._largest = np.maximum(
            np.minimum(counts - least_targets, (LARGEST_PART * counts).astype(np.int64)), 1
        )
        self._visits = _visits(histories)

    def __bool__(self) -> bool:
        """Return whether any user has enough ratings for an example."""
        return bool(self._users.size)

    def draw(self, n: int) -> Batch:
        """Return ``n`` examples."""
        n_visits = round(n * self._params.visit_share) if len(self._visits) else 0
        n_parts = n - n_visits
        part_inputs, part_targets = self._draw_parts(n_parts)
        visit_inputs, visit_targets = self._draw_visits(n_visits, first_row=n_parts)
        rows, ratings, weights = _concatenate([part_inputs, visit_inputs])
        inside = self._places[ratings] >= 0
        return Batch(
            rows[inside],
            self._places[ratings[inside]].astype(np.int64),
            weights[inside],
            self._stars[ratings[inside]],
            self._targets(_concatenate([part_targets, visit_targets]), n),
        )

    def _draw_parts(self, n: int) -> tuple[_Columns, _Columns]:
        """Return the inputs and the targets of ``n`` random parts of histories."""
        users = self._random.choice(self._users, n)
        counts = self._offsets[users + 1] - self._offsets[users]
        largest = self._largest[users]
        sizes = np.exp(self._random.uniform(0.0, np.log(largest + 1.0))).astype(np.int64)
        rows = np.repeat(np.arange(n), counts)
        starts = np.cumsum(counts) - counts
        ratings = np.arange(rows.size) - np.repeat(starts - self._offsets[users], counts)
        # A random order within each row; its first ``sizes`` ratings are the input.
        order = np.argsort(rows + self._random.random(rows.size))
        rank = np.arange(rows.size) - np.repeat(starts, counts)
        inputs = order[rank < np.repeat(sizes, counts)]
        targets = order[rank >= np.repeat(sizes, counts)]
        liked = self._stars[ratings[targets]] >= LIKED
        gains = np.where(liked, 1.0, self._params.unliked_weight).astype(np.float32)
        ones = np.ones(inputs.size, dtype=np.float32)
        return (
            (rows[inputs], ratings[inputs], ones),
            (rows[targets], ratings[targets], gains),
        )

    def _draw_visits(self, n: int, *, first_row: int) -> tuple[_Columns, _Columns]:
        """Return the ratings before ``n`` random visits, and those from each visit on.

        Their rows count from ``first_row``.
        """
        visits = self._random.choice(len(self._visits), n) if n else np.zeros(0, dtype=np.int64)
        inputs: list[_Columns] = []
        targets: list[_Columns] = []
        for row, visit in enumerate(visits.tolist(), start=first_row):
            start, cut, end = self._visits[visit].tolist()
            past, future = np.arange(start, cut), np.arange(cut, end)
            weights = self._params.recency.weights(self._timestamps[past])
            inputs.append((np.full(past.size, row), past, weights))
            targets.append((np.full(future.size, row), future, np.ones(future.size, np.float32)))
        return _concatenate(inputs), _concatenate(targets)

    def _targets(self, columns: _Columns, n: int) -> Floats:
        """Return the targets as rows that sum to 1, or to 0 without a covered target."""
        rows, ratings, gains = columns
        places = self._places[ratings]
        inside = places >= 0
        targets = np.zeros((n, self._n_covered), dtype=np.float32)
        targets[rows[inside], places[inside]] = gains[inside]
        sums = targets.sum(axis=1, keepdims=True)
        return as_float32(np.divide(targets, sums, out=targets, where=sums > 0))


def _concatenate(parts: Sequence[_Columns]) -> _Columns:
    if not parts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, np.zeros(0, dtype=np.float32)
    rows, ratings, values = zip(*parts, strict=True)
    return np.concatenate(rows), np.concatenate(ratings), np.concatenate(values)


def _visits(histories: Histories) -> Ints:
    """Return (n, 3): where a history starts, where a later visit starts, where the history ends.

    The latest :data:`MOST_VISITS` of each user with ``LEAST_BEFORE`` ratings before them.
    """
    moments, offsets = histories.timestamps, histories.offsets
    pauses = np.flatnonzero(np.diff(moments) >= PAUSE_S) + 1
    users = np.searchsorted(offsets, pauses, side="right") - 1
    late_enough = pauses - offsets[users] >= LEAST_BEFORE
    pauses, users = pauses[late_enough], users[late_enough]
    # Count backwards from each user's last pause.
    _, first, counts = np.unique(users, return_index=True, return_counts=True)
    from_end = np.repeat(first + counts, counts) - np.arange(users.size)
    latest = from_end <= MOST_VISITS
    return np.stack([offsets[users], pauses, offsets[users + 1]], axis=1)[latest]
