"""Small models for tests that are about something else than models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Histories, Index
from moovier.models import bundle
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.families import FAMILIES

MOVIE_IDS = (1, 2, 6, 32, 47)
#: Families that learn something, and the first of them that learns to rank.
LEARNING = tuple(name for name in FAMILIES if name != "popular")
RANKING = next(name for name in LEARNING if FAMILIES[name].objective == "ranking")


def toy_bundle(name: str = "moovier_popular_1_trained_0", **card: Any) -> Bundle:
    """Three users, five movies, scored by popularity alone."""
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
    """What :meth:`Tracking.register` takes: a folder that holds the bundle."""
    bundle.save(toy_bundle(name, **card), folder / "bundle")
    return folder


def toy_movielens(folder: Path, *, users: int = 60, movies: int = 40, seed: int = 0) -> Path:
    """A MovieLens folder of two crowds: one rates the odd movies, the other the even ones.

    Some movies of each crowd are better known, so popularity is a fair baseline, and a model
    that sees the crowds beats it.
    """
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    ids = np.arange(1, movies + 1)
    rows = []
    for user in range(1, users + 1):
        own = ids[ids % 2 == user % 2]
        odds = 1 / np.sqrt(np.arange(1, own.size + 1))
        rated = random.choice(own, size=own.size // 2, replace=False, p=odds / odds.sum())
        for movie in rated:
            stars = random.integers(6, 11) / 2
            rows.append((user, movie, stars, int(random.integers(1_000_000, 2_000_000))))
    lines = [f"{user},{movie},{stars},{moment}" for user, movie, stars, moment in rows]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines, ""]))
    lines = [f"{movie},Movie {movie} (1995),Drama" for movie in ids]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines, ""]))
    return folder
