"""Arrays of models with random values, and random histories over their movies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import History, Ratings
from moovier.models.family import Arrays

N_MOVIES, N_COVERED, SIZE, N_GENRES = 61, 37, 13, 5
N_UNKNOWNS, N_OF_MOVIE = 7, 3


def dae_arrays(rng: np.random.Generator) -> Arrays:
    """Return the arrays of a ``DaeScorer`` that covers 37 of 61 movies."""

    def normal(*shape: int) -> NDArray[np.float32]:
        return rng.standard_normal(shape).astype(np.float32)

    return {
        "encode_rated": normal(N_COVERED, SIZE),
        "encode_stars": normal(N_COVERED, SIZE),
        "encode_bias": normal(SIZE),
        "decode": normal(SIZE + 1, N_COVERED),
        "decode_bias": normal(N_COVERED),
        # Smaller than the smallest normal number of half precision, too.
        "neighbours": (normal(N_COVERED, N_COVERED) * 10.0 ** rng.integers(-7, 1)).astype(
            np.float16
        ),
        "genres": np.abs(normal(N_COVERED, N_GENRES)),
        "mean_genres": np.abs(normal(N_GENRES)),
        "covered": np.sort(rng.choice(N_MOVIES, N_COVERED, replace=False)),
        "counts": rng.integers(0, 90, N_MOVIES),
        "serving": np.array([2.0, 25.0, 0.3, 8.0, 11.0, 400.0, 100.0, 0.1]),
    }


def taste_arrays(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the arrays of a ``Predictor`` with one user of the fit."""
    spread = rng.standard_normal((N_UNKNOWNS, N_UNKNOWNS))
    of_movies = rng.standard_normal((N_MOVIES, N_OF_MOVIE, N_OF_MOVIE)) / 9
    cov = of_movies @ of_movies.transpose(0, 2, 1)
    rows, columns = np.triu_indices(N_OF_MOVIE)
    arrays = {
        "z": rng.standard_normal((N_MOVIES, N_UNKNOWNS)) / 3,
        "cov": cov[:, rows, columns],
        "taste": np.zeros((1, N_UNKNOWNS)),
        "spread": spread @ spread.T + np.eye(N_UNKNOWNS),
        "mu": np.array(3.4),
        "noise": np.array(0.7),
        "prior_ratings": np.array(30.0),
        "passes": np.array(rng.integers(1, 5)),
        "beta": np.zeros(N_UNKNOWNS - N_OF_MOVIE),
    }
    return {name: np.asarray(values, dtype=np.float32) for name, values in arrays.items()}


def random_history(rng: np.random.Generator, k: int) -> History:
    """Return ``k`` ratings of different movies over three years."""
    return History(
        rng.choice(N_MOVIES, k, replace=False),
        (rng.integers(1, 11, k) / 2).astype(np.float32),
        np.sort(rng.integers(0, 10**8, k)),
    )


def random_ratings(seed: int, n_users: int = 9, n_movies: int = 40) -> Ratings:
    """Return users with 3 to 30 ratings in visits days apart."""
    random = np.random.default_rng(seed)
    rows: list[tuple[int, int, float, int]] = []
    for user in range(n_users):
        movies = random.permutation(n_movies)[: random.integers(3, 31)]
        gaps_s = random.choice([60, 3600, 3 * 86_400], movies.size, p=[0.5, 0.3, 0.2])
        stars = random.integers(1, 11, movies.size) / 2
        columns = (movies.tolist(), stars.tolist(), np.cumsum(gaps_s).tolist())
        rows += zip([user] * movies.size, *columns, strict=True)
    users, movies_, stars_, moments = (np.array(column) for column in zip(*rows, strict=True))
    return Ratings(users, movies_, stars_.astype(np.float32), moments, n_users, n_movies)
