"""What a data set looks like in a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from moovier.data.movielens import MovieLens
from moovier.data.schema import HIGHEST_STARS, LOWEST_STARS, STEP


@dataclass(frozen=True)
class Summary:
    """``movies`` counts the catalogue, ``rated_movies`` those with a rating. ``sparsity``: share
    (0 to 1) of the user-by-rated-movie table that is empty. ``histogram``: stars to ratings, every
    step of the scale."""

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
            histogram={float(s): int(counts.get(s, 0)) for s in stars},
            set_aside=len(data.set_aside),
        )
