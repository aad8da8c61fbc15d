"""Visitors of the service, made from the histories of a data set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from moovier.data.ratings import Histories, Index

#: Ratings of a visitor.
RATINGS = 20


def visitors(index: Index, histories: Histories, number: int) -> Iterator[dict[str, float]]:
    """Yield the stars by movie id of ``number`` visitors.

    Each has :data:`RATINGS` random ratings of one user with at least twice as many.
    """
    random = np.random.default_rng(0)
    long_enough = np.flatnonzero(histories.counts() >= 2 * RATINGS)
    for user in random.choice(long_enough, number).tolist():
        history = histories[user]
        rows = np.sort(random.choice(len(history), RATINGS, replace=False))
        rated = zip(history.movies[rows], history.stars[rows], strict=True)
        yield {str(index.movies[movie]): float(stars) for movie, stars in rated}
