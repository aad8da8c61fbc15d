"""Gives movies that nobody has rated a share of the places of personal lists.

Their scores are means of other movies' scores, so they seldom reach the first places by
themselves; docs/decisions/new-movies.md has the measurements.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.ratings import Floats, Ints

#: Quantile of the scores of all other movies that a new movie must reach for a reserved place, so
#: that a new movie that does not fit a person takes none.
FIT_QUANTILE = 0.9
NO_ROWS: Ints = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class NewPlaces:
    """The rows of the new movies, and their share of the places, 0 to 1."""

    rows: Ints
    share: float

    @property
    def is_empty(self) -> bool:
        """Return whether lists stay as they are."""
        return not self.rows.size or not self.share

    def placed(self, scores: Floats, best: Ints) -> Ints:
        """Return the list ``best`` with new movies at the places that are theirs.

        ``scores``: (n_movies,), -inf for what must not be shown. ``best``: rows, best first. A
        new movie that already stands at or before a place of theirs keeps it.
        """
        if self.is_empty:
            return best
        places = places_of_share(self.share, best.size)
        if not places.size:
            return best
        candidates = self.rows[scores[self.rows] >= self._least(scores)]
        queue = candidates[np.argsort(-scores[candidates], kind="stable")].tolist()
        new, result = set(self.rows.tolist()), best.tolist()
        for due, place in enumerate(places.tolist(), start=1):
            before = result[: place + 1]
            if sum([row in new for row in before]) >= due:
                continue
            row = next((row for row in queue if row not in before), None)
            if row is None:
                break
            if row in result:
                result.remove(row)
            result.insert(place, row)
        return np.array(result[: best.size], dtype=np.int64)

    def _least(self, scores: Floats) -> float:
        """Return the score that a new movie needs for a reserved place."""
        others = np.delete(scores, self.rows)
        others = others[others > -np.inf]
        if not others.size:
            return float("-inf")
        place = int(FIT_QUANTILE * (others.size - 1))
        return float(np.partition(others, place)[place])


NO_NEW_PLACES = NewPlaces(NO_ROWS, 0.0)


def places_of_share(share: float, size: int) -> Ints:
    """Return the places of a list of ``size``, from 0, that a share of the places gives.

    At 0.1 these are the 10th, 20th, ... place, so a longer list begins like a shorter one.
    """
    return np.flatnonzero(np.diff(np.floor(np.arange(size + 1) * share + 1e-9)))
