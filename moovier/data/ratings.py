"""Ratings as arrays over rows, and the index that maps MovieLens ids to rows.

This module imports only NumPy, so that the service can use it. Rows stay within ``moovier``: its
interfaces use MovieLens ids.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data import mapped_arrays
from moovier.errors import BadRequest

#: Whole numbers: rows, counts, Unix seconds. Columns of many ratings may have 32 bits.
Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

#: Stars from which a user liked a movie: the usual threshold of work on MovieLens.
LIKED_STARS = 3.5


def check_parallel(users: Sized, movies: Sized, ratings: Sized) -> None:
    """Check that three parallel sequences have the same length.

    Raises:
        BadRequest: their lengths differ.
    """
    if not len(users) == len(movies) == len(ratings):
        raise BadRequest(
            f"users, movies and ratings must have the same length, not {len(users)}, "
            f"{len(movies)} and {len(ratings)}"
        )


@dataclass(frozen=True)
class Index:
    """The users and movies of a model; the position of an id is its row.

    ``users``: (n_users,) unique user ids in any order, since fine-tuning appends new users.
    ``movies``: (n_movies,) unique MovieLens movie ids, ascending: the whole catalogue.
    """

    users: Ints
    movies: Ints

    def user_rows(self, user_ids: Ints) -> Ints:
        """Return the rows of ``user_ids``, in the same shape; -1 for an unknown user."""
        return _rows(self.users, self._user_order, user_ids)

    def movie_rows(self, movie_ids: Ints) -> Ints:
        """Return the rows of ``movie_ids``, in the same shape; -1 for an unknown movie."""
        return _rows(self.movies, self._movie_order, movie_ids)

    @cached_property
    def _user_order(self) -> Ints:
        return np.argsort(self.users, kind="stable")

    @cached_property
    def _movie_order(self) -> Ints:
        return np.argsort(self.movies, kind="stable")


def are_among(numbers: Ints, others: Ints) -> NDArray[np.bool_]:
    """Return which of ``numbers`` are among ``others``, (n,), as :func:`numpy.isin` does.

    Both are nearly sorted, as numbers of ratings by user are. So sorting takes little, and
    neighbours are looked up in near places; ``numpy.isin`` would hash millions of numbers.
    """
    if np.array_equal(numbers, others):
        return np.ones(numbers.size, dtype=np.bool_)
    if not numbers.size or not others.size:
        return np.zeros(numbers.size, dtype=np.bool_)
    ordered = np.sort(others, kind="stable")
    places = np.searchsorted(ordered, numbers)
    found: NDArray[np.bool_] = ordered[np.minimum(places, ordered.size - 1)] == numbers
    return found


def _rows(known_ids: Ints, order: Ints, ids: Ints) -> Ints:
    """Return the positions of ``ids`` in ``known_ids``, which ``order`` sorts; -1 for others."""
    ids = np.asarray(ids, dtype=np.int64)
    if known_ids.size == 0:
        return np.full(ids.shape, -1, dtype=np.int64)
    position = np.minimum(np.searchsorted(known_ids, ids, sorter=order), known_ids.size - 1)
    rows = order[position]
    return np.where(known_ids[rows] == ids, rows, -1)


@dataclass(frozen=True)
class History:
    """The ratings of one user, oldest first.

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
    ``timestamps``: Unix seconds. A user or a movie may have no ratings.
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
        """Select ratings by positions or by a mask, over the same index."""
        part = Ratings(
            self.users[rows],
            self.movies[rows],
            self.stars[rows],
            self.timestamps[rows],
            self.n_users,
            self.n_movies,
        )
        if rows.dtype == np.bool_ and "order" in self.__dict__ and self.order is None:
            # A part of sorted rows is sorted, which need not be found out again.
            part.__dict__["order"] = None
        return part

    def isin(self, others: Ratings) -> NDArray[np.bool_]:
        """Return a mask of the ratings whose user and movie also occur in ``others``, (n,)."""
        return are_among(self.pairs, others.pairs)

    @property
    def pairs(self) -> Ints:
        """A number for each rating's user and movie, (n,) in 64 bits."""
        return self.users.astype(np.int64) * self.n_movies + self.movies

    @cached_property
    def order(self) -> Ints | None:
        """The rows by user, oldest first, ties in row order, (n,); None if they have this order.

        Rows that were read from a snapshot have it, and so has each part of them.
        """
        steps = np.diff(self.users)
        if not ((steps > 0) | ((steps == 0) & (np.diff(self.timestamps) >= 0))).all():
            return np.lexsort((np.arange(len(self)), self.timestamps, self.users))
        return None

    @cached_property
    def counts(self) -> Ints:
        """The number of ratings of each user, (n_users,)."""
        return np.bincount(self.users, minlength=self.n_users).astype(np.int64)

    @cached_property
    def histories(self) -> Histories:
        """The same ratings grouped by user, oldest first; ties in row order."""
        rows = slice(None) if self.order is None else self.order
        return Histories(
            offsets=np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64),
            movies=self.movies[rows].astype(np.int32, copy=False),
            stars=self.stars[rows].astype(np.float32, copy=False),
            timestamps=self.timestamps[rows],
            n_movies=self.n_movies,
        )


@dataclass(frozen=True)
class Histories:
    """The histories of all users in compressed rows.

    User u owns the slice ``[offsets[u], offsets[u + 1])``, oldest rating first. ``offsets``:
    (n_users + 1,). ``movies``, ``stars`` and ``timestamps``: (n_ratings,).
    """

    offsets: Ints
    movies: NDArray[np.int32]
    stars: Floats
    timestamps: Ints
    n_movies: int

    @property
    def n_users(self) -> int:
        """The number of users, also those without ratings."""
        return int(self.offsets.size - 1)

    def __getitem__(self, user: int) -> History:
        rows = slice(int(self.offsets[user]), int(self.offsets[user + 1]))
        return History(self.movies[rows].astype(np.int64), self.stars[rows], self.timestamps[rows])

    def ratings(self) -> Ratings:
        """Convert back to parallel arrays, by user, oldest first."""
        kind: Any = np.int32 if self.n_users < 2**31 else np.int64
        # Any: the columns may have 32 bits.
        users: Any = np.repeat(np.arange(self.n_users, dtype=kind), self.counts())
        movies: Any = self.movies
        return Ratings(
            users,
            movies,
            self.stars,
            self.timestamps,
            self.n_users,
            self.n_movies,
        )

    def counts(self) -> Ints:
        """Count the ratings per user, (n_users,)."""
        return np.diff(self.offsets)

    def movie_counts(self) -> Ints:
        """Return the number of ratings of each movie, (n_movies,), read-only."""
        return self._movie_counts

    @cached_property
    def _movie_counts(self) -> Ints:
        # Kept, because each epoch of a training needs it, and millions of ratings take a while.
        counts = mapped_arrays.count(self.movies, self.n_movies)
        counts.setflags(write=False)
        return counts

    def star_sums(self) -> NDArray[np.float64]:
        """Return the sum of the stars of each movie, (n_movies,)."""
        return mapped_arrays.add_up(self.movies, self.stars, self.n_movies)

    @cached_property
    def newest(self) -> int:
        """The timestamp of the newest rating in Unix seconds, 0 without ratings."""
        newest = int(self.timestamps.max(initial=0))
        mapped_arrays.release(self.timestamps)
        return newest
