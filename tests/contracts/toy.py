"""A world of two tastes, on purpose neither square nor symmetric: 12 users, 17 movies.

Users 0 to 6 like movies 0 to 7, users 7 to 11 like movies 8 to 15, nobody knows movie 16. Each
rates all movies of their taste high but one, and one of the other taste low. Movies 0 to 7 are
the better known ones, so popularity alone is right about the larger crowd only.
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
MANY = range(7)
FIRST_TASTE, SECOND_TASTE = range(8), range(8, 16)
EPOCHS = 100
#: Sizes that suit a toy; a family that is not named gets its defaults.
PARAMS = {
    "emb": {
        "size": 5,
        "dense_units": (8,),
        "learning_rate": 0.02,
        "batch_size": 8,
        "epochs": EPOCHS,
    },
    "ease": {"size": 1, "lambda_": 1.0},
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
    # Nobody here rates in anybody else's order.
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
    """What the user likes and what the user does not."""
    return (FIRST_TASTE, SECOND_TASTE) if user in MANY else (SECOND_TASTE, FIRST_TASTE)


def held_out(user: int) -> int:
    """The movie of their taste that the user has not rated."""
    liked, _ = taste(user)
    return liked[(3 * user + 2) % len(liked)]


def rows_of(user: int) -> list[tuple[int, float]]:
    """The user's ratings, oldest first: (movie, stars)."""
    liked, disliked = taste(user)
    # Each starts elsewhere and goes round, so that any movie of a taste may come after any other.
    order = [liked[(user + place) % len(liked)] for place in range(len(liked))]
    rated = [(movie, 4.5 + movie % 2 / 2) for movie in order if movie != held_out(user)]
    return [(disliked[user % len(disliked)], 0.5), *rated]


def ratings() -> Ratings:
    """Everybody's, shuffled, with the oldest first in time."""
    rows = [
        (user, movie, stars, 1000 * user + position)
        for user in range(N_USERS)
        for position, (movie, stars) in enumerate(rows_of(user))
    ]
    return ratings_of(np.random.default_rng(5).permutation(np.array(rows)), N_USERS)


def ratings_of(rows: Sequence[Sequence[float]] | np.ndarray, n_users: int) -> Ratings:
    """From rows of user, movie, stars, moment."""
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
    """Somebody new, who loves these."""
    n = len(movies)
    return History(np.array(movies, dtype=np.int64), np.full(n, 5, np.float32), np.arange(n))


def catalogue() -> Catalogue:
    """Movies that differ in nothing but their ids, so that only ratings can tell tastes apart."""
    return Catalogue.of(
        Movie(int(id_), f"Movie {id_}", 1995, ("Drama",), None, None) for id_ in MOVIE_IDS
    )


def bundle_of(name: str, params: HyperParameters, arrays: Arrays, known: Ratings) -> Bundle:
    """A bundle with ids unlike the rows: users 100, 103, ... and movies 10, 12, ..."""
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
