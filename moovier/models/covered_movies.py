"""The movies that a model scores; the others rank behind them, by popularity."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Ints
from moovier.models.family import as_float32


class CoveredMovies:
    """Places of the covered movies, and scores of the whole catalogue.

    ``rows``: (n_covered,) rows of the covered movies. ``place_of``: (n_movies,) place of each movie
    in ``rows``, -1 for the others. ``popularity``: (n_movies,) 0 to 1.
    """

    def __init__(self, rows: Ints, counts: Floats) -> None:
        """Take the covered rows and the number of ratings of each movie, (n_movies,)."""
        self.rows = rows
        self.place_of = np.full(counts.size, -1, dtype=np.int64)
        self.place_of[rows] = np.arange(rows.size)
        self.popularity = counts / max(float(counts.max(initial=1)), 1.0)

    def scores_of_all(self, covered: Floats) -> Floats:
        """Return the scores of all movies, (n_movies,), from those of the covered ones."""
        scores = self.popularity + (float(covered.min()) - 2.0)
        scores[self.rows] = covered
        return as_float32(scores)
