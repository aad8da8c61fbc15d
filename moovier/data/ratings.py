"""Ratings as arrays over dense indices, and the index that maps MovieLens ids to them.

NumPy alone, so that the process that answers requests can use it. Outside ``moovier`` nobody
sees an index: ids are MovieLens ids.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from moovier.errors import BadRequest

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]


def check_parallel(users: Sized, movies: Sized, ratings: Sized) -> None:
    """
    Raises:
        BadRequest: the three are not of one length.
    """
    if not len(users) == len(movies) == len(ratings):
        raise BadRequest(
            f"users, movies and ratings must be of one length, not {len(users)}, {len(movies)} "
            f"and {len(ratings)}"
        )


@dataclass(frozen=True)
class Index:
    """The users and movies that a model knows; an id's position is its row.

    ``users``: (n_users,) MovieLens user ids, unique, in any order (fine-tuning appends new ones).
    ``movies``: (n_movies,) MovieLens movie ids, unique, ascending: the whole catalogue.
    """

    users: Ints
    movies: Ints

    def user_rows(self, user_ids: Ints) -> Ints:
        """Rows of ``user_ids``, -1 where the user is unknown; same shape as the input."""
        return _rows(self.users, self._user_order, user_ids)

    def movie_rows(self, movie_ids: Ints) -> Ints:
        """Rows of ``movie_ids``, -1 where the movie is unknown; same shape as the input."""
        return _rows(self.movies, self._movie_order, movie_ids)

    @cached_property
    def _user_order(self) -> Ints:
        return np.argsort(self.users, kind="stable")

    @cached_property
    def _movie_order(self) -> Ints:
        return np.argsort(self.movies, kind="stable")


def _rows(keys: Ints, order: Ints, wanted: Ints) -> Ints:
    wanted = np.asarray(wanted, dtype=np.int64)
    if keys.size == 0:
        return np.full(wanted.shape, -1, dtype=np.int64)
    position = np.minimum(np.searchsorted(keys, wanted, sorter=order), keys.size - 1)
    rows = order[position]
    return np.where(keys[rows] == wanted, rows, -1)


@dataclass(frozen=True)
class History:
    """What one person rated, oldest first.

    ``movies``: (k,) movie rows, each at most once. ``stars``: (k,) 0.5 to 5.
    ``timestamps``: (k,) Unix seconds.
    """

    movies: Ints
    stars: Floats
    timestamps: Ints

    def __len__(self) -> int:
        return int(self.movies.size)


@dataclass(frozen=True)
class Ratings:
    """Ratings over an :class:`Index`, four parallel arrays of n rows, in any order.

    ``users``: rows in 0..n_users-1. ``movies``: rows in 0..n_movies-1. ``stars``: 0.5 to 5.
    ``timestamps``: Unix seconds. A user or movie may have no row at all.
    """

    users: Ints
    movies: Ints
    stars: Floats
    timestamps: Ints
    n_users: int
    n_movies: int

    def __len__(self) -> int:
        return int(self.users.size)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Ratings:
        """The given rows (positions or a mask), over the same index."""
        return Ratings(
            self.users[rows],
            self.movies[rows],
            self.stars[rows],
            self.timestamps[rows],
            self.n_users,
            self.n_movies,
        )

    def isin(self, others: Ratings) -> NDArray[np.bool_]:
        """Mask of the rows whose (user, movie) stands in ``others``, over the same index."""
        pairs = self.users * self.n_movies + self.movies
        return np.isin(pairs, others.users * others.n_movies + others.movies)

    @cached_property
    def histories(self) -> Histories:
        """The same ratings grouped by user, oldest first, ties in row order."""
        order = np.lexsort((np.arange(len(self)), self.timestamps, self.users))
        counts = np.bincount(self.users, minlength=self.n_users)
        return Histories(
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            movies=self.movies[order].astype(np.int32),
            stars=self.stars[order].astype(np.float32),
            timestamps=self.timestamps[order].astype(np.int64),
            n_movies=self.n_movies,
        )


@dataclass(frozen=True)
class Histories:
    """Everybody's history in compressed rows: user u owns ``[offsets[u], offsets[u + 1])``.

    ``offsets``: (n_users + 1,). ``movies``, ``stars``, ``timestamps``: (n_ratings,), each user's
    slice oldest first.
    """

    offsets: Ints
    movies: NDArray[np.int32]
    stars: Floats
    timestamps: Ints
    n_movies: int

    @property
    def n_users(self) -> int:
        return int(self.offsets.size - 1)

    def __getitem__(self, user: int) -> History:
        rows = slice(int(self.offsets[user]), int(self.offsets[user + 1]))
        return History(self.movies[rows].astype(np.int64), self.stars[rows], self.timestamps[rows])

    def ratings(self) -> Ratings:
        """The same ratings as rows: by user, oldest first."""
        users = np.repeat(np.arange(self.n_users), self.counts())
        return Ratings(
            users,
            self.movies.astype(np.int64),
            self.stars,
            self.timestamps,
            self.n_users,
            self.n_movies,
        )

    def counts(self) -> Ints:
        """Ratings per user, (n_users,)."""
        return np.diff(self.offsets)

    def movie_counts(self) -> Ints:
        """Ratings per movie, (n_movies,)."""
        return np.bincount(self.movies, minlength=self.n_movies).astype(np.int64)
