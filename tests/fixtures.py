"""Small models and small MovieLens folders for tests that are about something else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Histories, Index
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.families import FAMILIES

#: Movies of :func:`toy_bundle`.
MOVIE_IDS = (1, 2, 6, 32, 47)
#: Families that learn something, and the first of them that learns to rank.
LEARNING = tuple(name for name in FAMILIES if name != "popular")
RANKING = next(name for name in LEARNING if FAMILIES[name].objective == "ranking")

#: Movies of :func:`titled_movielens`: the title as MovieLens writes it, and the genres.
TITLED_MOVIES = (
    ("Toy Story (1995)", "Adventure|Animation|Children|Comedy"),
    ("Heat (1995)", "Action|Crime|Thriller"),
    ("Toy Story 2 (1999)", "Adventure|Animation|Children|Comedy"),
    ("Matrix, The (1999)", "Action|Sci-Fi|Thriller"),
    ("Alien (1979)", "Horror|Sci-Fi"),
    ("Solaris (Solyaris) (1972)", "Drama|Mystery|Sci-Fi"),
    ("Fabuleux destin d'Amélie Poulain, Le (2001)", "Comedy|Romance"),
    ("Babe (1995)", "Children|Drama"),
    ("Casino (1995)", "Crime|Drama"),
    ("Clueless (1995)", "Comedy|Romance"),
    ("Seven Samurai (Shichinin no samurai) (1954)", "Action|Adventure|Drama"),
    ("Stalker (1979)", "Drama|Mystery|Sci-Fi"),
    ("Babylon 5", "Sci-Fi"),
    ("Fargo (1996)", "Comedy|Crime|Drama|Thriller"),
    ("Blade Runner (1982)", "Action|Sci-Fi|Thriller"),
    ("Paterson", "(no genres listed)"),
    ("Aladdin (1992)", "Adventure|Animation|Children|Comedy|Musical"),
    ("Goodfellas (1990)", "Crime|Drama"),
    ("Brazil (1985)", "Fantasy|Sci-Fi"),
    ("Metropolis (1927)", "Drama|Sci-Fi"),
    ("Grease (1978)", "Comedy|Musical|Romance"),
    ("Shrek (2001)", "Adventure|Animation|Children|Comedy"),
    ("Snatch (2000)", "Comedy|Crime|Thriller"),
    ("Contact (1997)", "Drama|Sci-Fi"),
    ("Gattaca (1997)", "Drama|Sci-Fi|Thriller"),
    ("Ronin (1998)", "Action|Crime|Thriller"),
    ("Antz (1998)", "Adventure|Animation|Children|Comedy"),
    ("Nobody Saw This (2010)", "Drama"),
)
#: Their MovieLens ids, in the same order, and the users who rate them.
TITLED_IDS = tuple(range(1, 2 * len(TITLED_MOVIES), 2))
TITLED_USERS = tuple(range(1, 41))


def toy_bundle(name: str = "moovier_popular_1_trained_0", **card: Any) -> Bundle:
    """Return a popularity model of three users and five movies."""
    movies = np.array(MOVIE_IDS)
    facts = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=4, users=3, movies=5)
    values = {"family": "popular", "params": {"size": 1}, "data": facts, **card}
    return Bundle(
        card=Card(name=name, **values),
        index=Index(np.array([7, 11, 13]), movies),
        histories=Histories(
            offsets=np.array([0, 2, 3, 4]),
            movies=np.array([0, 1, 1, 4], dtype=np.int32),
            stars=np.array([4.0, 3.5, 5.0, 0.5], dtype=np.float32),
            timestamps=np.array([10, 20, 30, 40]),
            n_movies=movies.size,
        ),
        catalogue=Catalogue.of(
            Movie(int(id_), f"Movie {id_}", 1995, ("Drama",), None, None) for id_ in movies
        ),
        arrays={"counts": np.array([1, 2, 0, 0, 1])},
    )


def toy_model(folder: Path, name: str = "moovier_popular_1_trained_0", **card: Any) -> Path:
    """Save :func:`toy_bundle` in ``folder``, as :meth:`Tracking.register` takes it."""
    bundle.save(toy_bundle(name, **card), folder / "bundle")
    return folder


def toy_movielens(folder: Path, *, users: int = 60, movies: int = 40, seed: int = 0) -> Path:
    """Write a MovieLens folder of two groups of users: one rates odd movies, the other even ones.

    Some movies of each group are rated more often, so popularity is a fair baseline, and a model
    that distinguishes the groups beats it.
    """
    rng = np.random.default_rng(seed)
    ids = np.arange(1, movies + 1)
    rows = []
    for user in range(1, users + 1):
        own = ids[ids % 2 == user % 2]
        odds = 1 / np.sqrt(np.arange(1, own.size + 1))
        rated = rng.choice(own, size=own.size // 2, replace=False, p=odds / odds.sum())
        for movie in rated:
            stars = rng.integers(6, 11) / 2
            rows.append((user, movie, stars, int(rng.integers(1_000_000, 2_000_000))))
    return _write_movielens(folder, rows, (f"{movie},Movie {movie} (1995),Drama" for movie in ids))


def titled_movielens(folder: Path) -> Path:
    """Write a MovieLens folder with real titles, years and genres, for search and filters.

    Of the 40 users, the odd ones like science fiction and the even ones comedies. Each rates
    some movies of the liked genre high and three others low. No user rates the last movie.
    """
    rng = np.random.default_rng(3)
    rows = []
    for user in TITLED_USERS:
        taste = "Sci-Fi" if user % 2 else "Comedy"
        liked = [id_ for id_ in TITLED_IDS[:-1] if taste in genres_of(id_)]
        others = [id_ for id_ in TITLED_IDS[:-1] if taste not in genres_of(id_)]
        chosen = [(id_, True) for id_ in rng.choice(liked, len(liked) - 4, replace=False)]
        chosen += [(id_, False) for id_ in rng.choice(others, 3, replace=False)]
        for movie, is_liked in chosen:
            stars = rng.integers(8, 11) / 2 if is_liked else rng.integers(1, 6) / 2
            rows.append((user, movie, stars, int(rng.integers(1_000_000, 2_000_000))))
    movies = zip(TITLED_IDS, TITLED_MOVIES, strict=True)
    return _write_movielens(folder, rows, (f'{id_},"{t}",{genres}' for id_, (t, genres) in movies))


def genres_of(movie_id: int | str) -> set[str]:
    """Return the genres of a movie of :func:`titled_movielens`."""
    return set(TITLED_MOVIES[int(movie_id) // 2][1].split("|"))


def _write_movielens(
    folder: Path, ratings: Iterable[tuple[int, int, float, int]], movies: Iterable[str]
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{user},{movie},{stars},{moment}" for user, movie, stars, moment in ratings]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines, ""]))
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *movies, ""]))
    return folder
