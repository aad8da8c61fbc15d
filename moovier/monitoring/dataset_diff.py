"""Compare two data sets: which ratings were added and which were removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from moovier.data.catalogue import NO_GENRE, Catalogue
from moovier.data.ratings import Index, Ratings, are_among

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Snapshot:
    """A data set: ``ratings`` over ``index``, whose movies are those of ``catalogue``."""

    index: Index
    ratings: Ratings
    catalogue: Catalogue


@dataclass(frozen=True)
class Change:
    """The data that a model was trained on and the current data, over one common index.

    Attributes:
        users: User ids of both data sets, sorted.
        movies: Movie ids of both data sets, sorted.
        reference: Ratings that the model was trained on.
        current: Ratings of the current data.
        added: (n_current,) rows of ``current`` that the reference lacks or has with other stars.
        removed: (n_reference,) rows of ``reference`` that the current data lack or have with
            other stars.
        known_movies: (n_movies,) whether the catalogue of the reference has the movie.
        genres: (n_movies, n_genres) shares; each movie's sum is 1.
        genre_names: Names of the columns of ``genres``.
    """

    users: NDArray[np.int64]
    movies: NDArray[np.int64]
    reference: Ratings
    current: Ratings
    added: Bools
    removed: Bools
    known_movies: Bools
    genres: NDArray[np.float64]
    genre_names: tuple[str, ...]

    @classmethod
    def between(cls, reference: Snapshot, current: Snapshot) -> Change:
        """Compare two snapshots by user id, movie id and stars."""
        users = np.union1d(reference.index.users, current.index.users)
        movies = np.union1d(reference.index.movies, current.index.movies)
        reference_ratings = _reindex(reference, users, movies)
        current_ratings = _reindex(current, users, movies)
        names, genres = _genre_shares(movies, (reference, current))
        old, new = _keys(reference_ratings), _keys(current_ratings)
        return cls(
            users=users,
            movies=movies,
            reference=reference_ratings,
            current=current_ratings,
            added=~are_among(new, old),
            removed=~are_among(old, new),
            known_movies=np.isin(movies, reference.index.movies),
            genres=genres,
            genre_names=names,
        )

    def genres_of(self, ratings: Ratings) -> NDArray[np.float64]:
        """Return how many of the ratings each genre has, (n_genres,).

        A movie of several genres counts for each of them by its share.
        """
        counts = np.bincount(ratings.movies, minlength=self.movies.size)
        total: NDArray[np.float64] = counts @ self.genres
        return total

    @cached_property
    def new_users(self) -> Bools:
        """Whether the reference has no rating of the user, (n_users,)."""
        counts = np.bincount(self.reference.users, minlength=self.users.size)
        new: Bools = counts == 0
        return new


def _reindex(snapshot: Snapshot, users: NDArray[np.int64], movies: NDArray[np.int64]) -> Ratings:
    """Return the same ratings over a wider index."""
    ratings = snapshot.ratings
    return Ratings(
        users=np.searchsorted(users, snapshot.index.users)[ratings.users],
        movies=np.searchsorted(movies, snapshot.index.movies)[ratings.movies],
        stars=ratings.stars,
        timestamps=ratings.timestamps,
        n_users=users.size,
        n_movies=movies.size,
    )


def _keys(ratings: Ratings) -> NDArray[np.int64]:
    """Return a number for each rating's user, movie and stars, (n,)."""
    return ratings.pairs * 16 + np.rint(ratings.stars * 2).astype(np.int64)


def _genre_shares(
    movies: NDArray[np.int64], snapshots: Sequence[Snapshot]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return genre names, and each movie's genres in equal shares.

    The last snapshot that has a movie decides on its genres.
    """
    genres_by_id = {
        movie.id: movie.genres or (NO_GENRE,)
        for snapshot in snapshots
        for movie in snapshot.catalogue
    }
    names = tuple(sorted({name for genres in genres_by_id.values() for name in genres}))
    columns = {name: column for column, name in enumerate(names)}
    shares = np.zeros((movies.size, len(names)))
    for row, movie_id in enumerate(movies.tolist()):
        genres = genres_by_id[movie_id]
        for name in genres:
            shares[row, columns[name]] += 1 / len(genres)
    return names, shares
