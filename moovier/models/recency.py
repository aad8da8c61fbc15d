"""Weights of ratings by age in days and in later ratings.

NumPy only: training and serving use the same functions. The weights depend on timestamps alone,
never on the order of the rows or on the order within a visit: MovieLens decides in which order
users see movies to rate, so that order says nothing about taste.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Floats, Histories, Ints
from moovier.data.split import PAUSE_S
from moovier.timestamps import DAY_S


@dataclass(frozen=True)
class Recency:
    """The decay of a rating's weight.

    The weight halves with every ``days`` days between the rating and the user's newest one. Of
    the weight, the share ``floor`` (0 to 1) stays, and the rest halves with every ``ratings``
    ratings that the user gave in later visits.
    """

    days: float
    ratings: float
    floor: float

    def weights(self, timestamps: Ints) -> Floats:
        """Return the weight of each rating of one user, (k,), in (0, 1].

        ``timestamps``: (k,) Unix seconds, in any order. Ratings of one visit that carry one
        timestamp have one weight; the newest rating has weight 1.
        """
        if not timestamps.size or timestamps.min() == timestamps.max():
            # A visitor's ratings arrive in one request: no rating is older than another.
            return np.ones(timestamps.size, dtype=np.float32)
        order = np.argsort(timestamps, kind="stable")
        weights = np.empty(timestamps.size, dtype=np.float32)
        ordered = timestamps[order]
        new_visit = np.diff(ordered, prepend=ordered[:1]) >= PAUSE_S
        weights[order] = self._decay(ordered[-1:] - ordered, _later(new_visit))
        return weights

    def all_weights(self, histories: Histories) -> Floats:
        """Return :meth:`weights` of all users, parallel to ``histories.movies``, (n_ratings,)."""
        counts = histories.counts()
        moments = histories.timestamps
        if not moments.size:
            return np.zeros(0, dtype=np.float32)
        ends = np.repeat(histories.offsets[1:], counts)
        starts = np.repeat(histories.offsets[:-1], counts)
        places = np.arange(moments.size)
        new_visit = np.zeros(moments.size, dtype=np.bool_)
        new_visit[1:] = (np.diff(moments) >= PAUSE_S) & (places[1:] > starts[1:])
        # The end of a rating's visit is where the next visit or the next user starts.
        boundary = new_visit | (places == starts)
        visit = np.cumsum(boundary) - 1
        visit_ends = np.append(np.flatnonzero(boundary)[1:], moments.size)
        return self._decay(moments[ends - 1] - moments, ends - visit_ends[visit])

    def _decay(self, age_s: Ints, later: Ints) -> Floats:
        by_count = self.floor + (1.0 - self.floor) * np.exp2(-later / self.ratings)
        return np.asarray(np.exp2(-age_s / (DAY_S * self.days)) * by_count, dtype=np.float32)


def _later(new_visit: NDArray[np.bool_]) -> Ints:
    """Return the number of ratings in later visits, (k,), oldest first.

    ``new_visit``: (k,) whether a rating starts a visit; the first rating does not count.
    """
    n = new_visit.size
    starts = np.flatnonzero(new_visit)
    ends = np.append(starts, n)
    return n - ends[np.cumsum(new_visit)]
