"""A toy data set of two tastes, not square and not symmetric: 12 users, 17 movies.

Users 0 to 6 like movies 0 to 7, users 7 to 11 like movies 8 to 15, movie 16 has no rating. Each
user rates all movies of the own taste but one high, and one movie of the other taste low. Movies
0 to 7 have more ratings, so popularity is right about the larger group only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import History, Index, Ratings
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.family import Arrays, HyperParameters

N_USERS, N_MOVIES = 12, 17
MOVIE_IDS = 10 + 2 * np.arange(N_MOVIES)
MAJORITY = range(7)
FIRST_TASTE, SECOND_TASTE = range(8), range(8, 16)
EPOCHS = 100
#: Hyper-parameters that suit the toy; other families get their defaults.
PARAMS = {
    "emb": {
        "size": 5,
        "dense_units": (8,),
        "learning_rate": 0.02,
        "batch_size": 8,
        "epochs": EPOCHS,
    },
    "ease": {"size": 1, "lambda_": 1.0},
    "elsa": {"size": 4, "least": 1, "epochs": 15},
    "als": {"size": 2, "least": 1},
    "taste": {
        "size": 3,
        "factor_sd": 1.0,
        "slope_var": 0.01,
        "prior_people": 12,
        "prior_ratings": 2,
    },
    "dae": {
        "size": 8,
        "least": 1,
        "dropout": 0.1,
        "lambda_": 1.0,
        "batch_size": 32,
        "learning_rate": 0.02,
        "epochs": 15,
    },
    # No two users rate in the same order.
    "timeline": {
        "size": 8,
        "half_life": 50,
        "back": 0,
        "star_power": 2,
        "company": 5,
        "lambda_": 1,
    },
}


def taste(user: int) -> tuple[range, range]:
    """Return the movies that the user likes, and those that the user dislikes."""
    return (FIRST_TASTE, SECOND_TASTE) if user in MAJORITY else (SECOND_TASTE, FIRST_TASTE)


def held_out(user: int) -> int:
    """Return the liked movie that the user has not rated."""
    liked, _ = taste(user)
    return liked[(3 * user + 2) % len(liked)]


def rows_of(user: int) -> list[tuple[int, float]]:
    """Return the user's ratings as (movie, stars), oldest first."""
    liked, disliked = taste(user)
    # Each user starts at another movie of the circle, so that the orders differ.
    order = [liked[(user + place) % len(liked)] for place in range(len(liked))]
    rated = [(movie, 4.5 + movie % 2 / 2) for movie in order if movie != held_out(user)]
    return [(disliked[user % len(disliked)], 0.5), *rated]


def ratings() -> Ratings:
    """Return all users' ratings in shuffled rows."""
    rows = [
        (user, movie, stars, 1000 * user + position)
        for user in range(N_USERS)
        for position, (movie, stars) in enumerate(rows_of(user))
    ]
    return ratings_of(np.random.default_rng(5).permutation(np.array(rows)), N_USERS)


def ratings_of(rows: Sequence[Sequence[float]] | np.ndarray, n_users: int) -> Ratings:
    """Return ratings from rows of user, movie, stars, timestamp."""
    users, movies, stars, moments = np.array(rows).T
    return Ratings(
        users.astype(np.int64),
        movies.astype(np.int64),
        stars.astype(np.float32),
        moments.astype(np.int64),
        n_users,
        N_MOVIES,
    )


def history(*movies: int) -> History:
    """Return a visitor's history with 5 stars for each movie."""
    n = len(movies)
    return History(np.array(movies, dtype=np.int64), np.full(n, 5, np.float32), np.arange(n))


def catalogue() -> Catalogue:
    """Return movies that differ by id only, so that only ratings separate the tastes."""
    return Catalogue.of(
        Movie(int(id_), f"Movie {id_}", 1995, ("Drama",), None, None) for id_ in MOVIE_IDS
    )


def bundle_of(name: str, params: HyperParameters, arrays: Arrays, known: Ratings) -> Bundle:
    """Return a bundle whose ids differ from the rows: users 100, 103, … and movies 10, 12, …"""
    facts = DataFacts(
        name="toy",
        hash="toy.dir",
        synthetic=True,
        ratings=len(known),
        users=known.n_users,
        movies=N_MOVIES,
    )
    return Bundle(
        card=Card(
            name=f"moovier_{name}_{params.size}_trained_0",
            family=name,
            params=params.model_dump(mode="json"),
            data=facts,
        ),
        index=Index(100 + 3 * np.arange(known.n_users), MOVIE_IDS),
        histories=known.histories,
        catalogue=catalogue(),
        arrays=arrays,
    )
