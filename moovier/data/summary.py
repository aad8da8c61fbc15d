"""Summarise a data set in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from moovier.data.movielens import MovieLens
from moovier.data.schema import HIGHEST_STARS, LOWEST_STARS, STEP


@dataclass(frozen=True)
class Summary:
    """The numbers of a data set.

    ``movies``: movies of the catalogue. ``rated_movies``: movies with a rating. ``sparsity``: the
    empty share (0 to 1) of the table of users by rated movies. ``histogram``: stars, from 0.5 to 5
    in steps of 0.5, to the number of ratings. ``set_aside``: bad rows that were left out.
    """

    ratings: int
    users: int
    movies: int
    rated_movies: int
    sparsity: float
    first: datetime
    last: datetime
    mean_stars: float
    histogram: dict[float, int]
    set_aside: int

    @classmethod
    def of(cls, data: MovieLens) -> Summary:
        """Compute the numbers of a data set."""
        ratings = data.ratings
        users, rated = int(ratings["userId"].nunique()), int(ratings["movieId"].nunique())
        stars = np.arange(LOWEST_STARS, HIGHEST_STARS + STEP, STEP)
        counts = ratings["rating"].value_counts()
        return cls(
            ratings=len(ratings),
            users=users,
            movies=len(data.movies),
            rated_movies=rated,
            sparsity=1 - len(ratings) / (users * rated),
            first=datetime.fromtimestamp(int(ratings["timestamp"].min()), UTC),
            last=datetime.fromtimestamp(int(ratings["timestamp"].max()), UTC),
            mean_stars=float(ratings["rating"].mean()),
            histogram={float(value): int(counts.get(value, 0)) for value in stars},
            set_aside=len(data.set_aside),
        )
