"""Two data sets over one index, and which ratings came or went between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from moovier.data.catalogue import NO_GENRE, Catalogue
from moovier.data.ratings import Index, Ratings

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Known:
    """A data set: ``ratings`` over ``index``, whose movies are those of ``catalogue``."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue


@dataclass(frozen=True)
class Change:
    """What a model was trained on and what there is now, over one index.

    ``reference``, ``current``: ratings over the users and movies of both, ids in ``users`` and
    ``movies``. ``came``: rows of ``current`` that the reference lacks, or has with other stars;
    ``went``: rows of ``reference`` that are no more, or have other stars now. ``known_movies``:
    whether the reference's catalogue has the movie. ``genres``: (n_movies, n_genres) shares,
    each movie's sum 1; ``genre_names``.
    """

    users: NDArray[np.int64]
    movies: NDArray[np.int64]
    reference: Ratings
    current: Ratings
    came: Bools
    went: Bools
    known_movies: Bools
    genres: NDArray[np.float64]
    genre_names: tuple[str, ...]

    @classmethod
    def between(cls, reference: Known, current: Known) -> Change:
        """Compare by user and movie id."""
        users = np.union1d(reference.index.users, current.index.users)
        movies = np.union1d(reference.index.movies, current.index.movies)
        then = _moved(reference, users, movies)
        now = _moved(current, users, movies)
        names, genres = _genres(movies, (reference, current))
        return cls(
            users=users,
            movies=movies,
            reference=then,
            current=now,
            came=~_same(now, then),
            went=~_same(then, now),
            known_movies=np.isin(movies, reference.index.movies),
            genres=genres,
            genre_names=names,
        )

    @cached_property
    def new_users(self) -> Bools:
        """Whether the reference has no rating of this user, (n_users,)."""
        counts = np.bincount(self.reference.users, minlength=self.users.size)
        new: Bools = counts == 0
        return new


def _moved(known: Known, users: NDArray[np.int64], movies: NDArray[np.int64]) -> Ratings:
    """The same ratings over another, wider index."""
    old = known.ratings
    return Ratings(
        users=np.searchsorted(users, known.index.users[old.users]),
        movies=np.searchsorted(movies, known.index.movies[old.movies]),
        stars=old.stars,
        timestamps=old.timestamps,
        n_users=users.size,
        n_movies=movies.size,
    )


def _same(rows: Ratings, others: Ratings) -> Bools:
    """Which of ``rows`` stand in ``others`` with the very same stars."""

    def key(ratings: Ratings) -> NDArray[np.int64]:
        pairs = ratings.users * ratings.n_movies + ratings.movies
        return pairs * 16 + np.rint(ratings.stars * 2).astype(np.int64)

    found: Bools = np.isin(key(rows), key(others))
    return found


def _genres(
    movies: NDArray[np.int64], sources: Sequence[Known]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names, and each movie's genres in equal shares; the last source that has a movie is right."""
    of = {movie.id: movie.genres or (NO_GENRE,) for one in sources for movie in one.catalogue}
    names = tuple(sorted({name for genres in of.values() for name in genres}))
    column = {name: place for place, name in enumerate(names)}
    shares = np.zeros((movies.size, len(names)))
    for row, movie_id in enumerate(movies.tolist()):
        genres = of[movie_id]
        for name in genres:
            shares[row, column[name]] += 1 / len(genres)
    return names, shares
