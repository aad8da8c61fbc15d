"""Popularity of each movie, of all time or within the last days of the data."""

from __future__ import annotations

import threading

import numpy as np
from cachetools import LRUCache

from moovier.data.ratings import Floats, Histories, Ints
from moovier.models import popular
from moovier.models.bundle import Bundle

#: Shortest and longest window, in days.
MIN_DAYS, MAX_DAYS = 1, 36_500
#: Number of windows in memory, the most recently used ones.
CACHED_WINDOWS = 8


def popular_days(bundle: Bundle) -> int | None:
    """Return the window that was best on validation, in days; None means all time.

    It is the bundle's array ``popular_days``, or the hyper-parameter ``days`` of a popularity
    model. Models of earlier versions have neither: all time.
    """
    stored = bundle.arrays.get(popular.POPULAR_DAYS)
    if stored is not None:
        days = int(np.asarray(stored).reshape(-1)[0])
    elif bundle.card.family == popular.NAME:
        days = int(bundle.card.params.get("days") or 0)
    else:
        days = 0
    return min(days, MAX_DAYS) if days >= MIN_DAYS else None


class Popularity:
    """Popularity of a model's movies. Safe to share between threads.

    ``default_days`` is the window of a request that names none; None means all time.
    """

    def __init__(self, histories: Histories, default_days: int | None = None) -> None:
        self._histories = histories
        self.default_days = default_days
        #: Number of ratings of each movie, (n_movies,).
        self.counts: Ints = histories.movie_counts()
        highest = max(int(self.counts.max(initial=1)), 1)
        #: Ratings as a share of the most rated movie's, (n_movies,), 0 to 1.
        self.all_time: Floats = (self.counts / highest).astype(np.float32)
        self._lock = threading.Lock()
        self._windows: LRUCache[int, Floats] = LRUCache(CACHED_WINDOWS)
        self._rising: LRUCache[int, Floats] = LRUCache(CACHED_WINDOWS)

    def scores(self, days: int | None) -> Floats:
        """Return the popularity of each movie, (n_movies,), 0 to 1; do not write to it.

        Only ratings less than ``days`` days older than the newest one count; None means all time.
        Movies with equal numbers of ratings in the window, also those with none, follow by their
        ratings of all time.
        """
        if days is None:
            return self.all_time
        with self._lock:
            scores = self._windows.get(days)
        if scores is None:
            scores = self._compute(days)
            with self._lock:
                self._windows[days] = scores
        return scores

    def rising(self, days: int) -> Floats:
        """Return how clearly each movie rises, (n_movies,); -inf if not; do not write to it."""
        with self._lock:
            scores = self._rising.get(days)
        if scores is None:
            scores = popular.rising_within(self._histories, days)
            with self._lock:
                self._rising[days] = scores
        return scores

    def default(self) -> Floats:
        """Return :meth:`scores` of the default window."""
        return self.scores(self.default_days)

    def _compute(self, days: int) -> Floats:
        counts = popular.counts_within(self._histories, days)
        return (counts / max(float(counts.max(initial=0)), 1.0)).astype(np.float32)
