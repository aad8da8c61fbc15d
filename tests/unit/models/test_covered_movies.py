from __future__ import annotations

import numpy as np

from moovier.models.covered_movies import CoveredMovies


def test_other_movies_rank_behind_the_covered_ones_by_popularity() -> None:
    counts = np.array([9, 1, 4, 7, 0], dtype=np.float32)
    movies = CoveredMovies(np.array([1, 2]), counts)
    scores = movies.scores_of_all(np.array([-30.0, 5.0], dtype=np.float32))
    assert np.argsort(-scores).tolist() == [2, 1, 0, 3, 4]
    assert scores[[1, 2]].tolist() == [-30.0, 5.0]
    assert movies.place_of.tolist() == [-1, 0, 1, -1, -1]


def test_popularity_of_movies_without_ratings_is_zero() -> None:
    movies = CoveredMovies(np.array([0]), np.zeros(2, dtype=np.float32))
    assert movies.popularity.tolist() == [0.0, 0.0]
