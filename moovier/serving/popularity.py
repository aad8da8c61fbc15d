"""How popular each movie is: of all time, or within the last days of the data."""

from __future__ import annotations

import threading
from collections import OrderedDict

import numpy as np

from moovier.data.ratings import Floats, Histories, Ints
from moovier.models import popular
from moovier.models.bundle import Bundle

#: Length of a window, in days.
LEAST_DAYS, MOST_DAYS = 1, 36_500
#: Windows kept in memory, the most recently used ones.
_KEPT = 8


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
    return min(days, MOST_DAYS) if days >= LEAST_DAYS else None


class Popularity:
    """Popularity of a model's movies. Safe to share between threads.

    ``default_days``: the window that is used where none is asked for; None means all time.
    """

    def __init__(self, histories: Histories, default_days: int | None = None) -> None:
        self._histories = histories
        self.default_days = default_days
        #: Number of ratings of each movie, (n_movies,).
        self.counts: Ints = histories.movie_counts()
        most = max(int(self.counts.max(initial=1)), 1)
        #: Ratings as a share of the most rated movie's, (n_movies,), 0 to 1.
        self.all_time: Floats = (self.counts / most).astype(np.float32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, Floats] = OrderedDict()

    def scores(self, days: int | None) -> Floats:
        """Return the popularity of each movie, (n_movies,), 0 to 1; do not write to it.

        ``days``: only ratings less than so many days older than the newest one count. Movies with
        equal numbers of them, also those with none, follow by their ratings of all time. None
        means all time.
        """
        if days is None:
            return self.all_time
        with self._lock:
            kept = self._kept.get(days)
            if kept is not None:
                self._kept.move_to_end(days)
                return kept
        scores = self._windowed(days)
        with self._lock:
            self._kept[days] = scores
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return scores

    def default(self) -> Floats:
        """Return :meth:`scores` of the default window."""
        return self.scores(self.default_days)

    def _windowed(self, days: int) -> Floats:
        counts = popular.counts_within(self._histories, days)
        return (counts / max(float(counts.max(initial=0)), 1.0)).astype(np.float32)
