from __future__ import annotations

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index, Ratings
from moovier.monitoring.dataset_diff import Snapshot

USERS, MOVIES = 90, 140


@pytest.fixture
def snapshot() -> Snapshot:
    """Return ratings of users who agree on which movies are good; two genres."""
    rng = np.random.default_rng(5)
    odds = 1 / np.arange(1, MOVIES + 1) ** 0.7
    quality = rng.normal(0, 0.7, MOVIES)
    parts = []
    for user in range(USERS):
        movies = rng.choice(MOVIES, rng.integers(12, 40), replace=False, p=odds / odds.sum())
        stars = 3.4 + quality[movies] + rng.normal(0, 0.2) + rng.normal(0, 0.4, movies.size)
        timestamps = user * 1000 + np.arange(movies.size)
        parts.append((np.full(movies.size, user), movies, stars, timestamps))
    users, movies, stars, timestamps = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    halves = np.clip(np.rint(stars * 2), 1, 10) / 2
    ratings = Ratings(users, movies, halves.astype(np.float32), timestamps, USERS, MOVIES)
    genres = (("Drama",), ("Comedy", "War"), ())
    catalogue = Catalogue.of(
        Movie(10 + row, f"Movie {row}", 1990, genres[row % 3], None, None) for row in range(MOVIES)
    )
    return Snapshot(Index(1 + np.arange(USERS), 10 + np.arange(MOVIES)), ratings, catalogue)
