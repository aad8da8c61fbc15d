"""Describe the ratings of a few users: the profile that drift is measured on.

At most :data:`MAX_PER_USER` rows of one user count, so that no user dominates the profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Histories, Ratings
from moovier.monitoring.distances import shares

Ints = NDArray[np.int64]
Values = NDArray[np.float64]

MAX_PER_USER = 50
STARS = np.arange(0.5, 5.01, 0.5)
#: Groups of movies, from rare to popular; each has about the same share of the ratings.
POPULARITY_BINS = 10
#: Number of average ratings that shrink a movie's effect towards 0.
_PRIOR = 5.0


@dataclass(frozen=True)
class Rows:
    """Some ratings, (n_rows,) each.

    Attributes:
        people: Number of the user within these rows, from 0.
        movies: Row of the movie in the reference.
        stars: Stars of the rating.
        counts: Number of *other* users who rated the movie in the reference.
        effects: Stars of those others above their own means, shrunk towards 0.
    """

    people: Ints
    movies: Ints
    stars: Values
    counts: Ints
    effects: Values


@dataclass(frozen=True)
class Profile:
    """The distributions of some ratings.

    Attributes:
        stars: (10,) share of each value from 0.5 to 5.
        popularity: (:data:`POPULARITY_BINS`,) share of each group of movies.
        genres: (n_genres,) share of each genre.
        novel: Share of the ratings whose movie nobody else rated before, 0 to 1.
        agreement: Stars above a user's own mean per star above others' own means. 1: the user
            agrees with others; below 0: the user says the opposite; NaN: undefined.
        tastes: (n_genres,) stars above users' own means by genre; NaN without a rating.
        crowd: Rated movies, and the share of the users who rated each.
    """

    stars: Values
    popularity: Values
    genres: Values
    novel: float
    agreement: float
    tastes: Values
    crowd: tuple[Ints, Values]


class Reference:
    """The ratings of the reference, prepared for drawing many windows."""

    def __init__(self, ratings: Ratings, genres: Values) -> None:
        """Prepare the ratings; ``genres`` are (n_movies, n_genres) shares."""
        self.histories: Histories = ratings.histories
        self.genres = genres
        h = self.histories
        self.lengths = h.counts()
        self.counts = h.movie_counts()
        stars = h.stars.astype(np.float64)
        owner = np.repeat(np.arange(h.n_users), self.lengths)
        means = np.bincount(owner, stars, h.n_users) / np.maximum(self.lengths, 1)
        self._above = stars - means[owner]
        self._sums = np.bincount(h.movies, self._above, h.n_movies)
        self._edges = _popularity_edges(self.counts)
        self._pairs = owner * h.n_movies + h.movies
        self._order = np.argsort(self._pairs, kind="stable")

    def rows(self, people: Ints, places: Ints) -> Rows:
        """Return rows of the reference itself, each compared with the other users' ratings."""
        movies = self.histories.movies[places].astype(np.int64)
        others = self.counts[movies] - 1
        return Rows(
            people=people,
            movies=movies,
            stars=self.histories.stars[places].astype(np.float64),
            counts=others,
            effects=(self._sums[movies] - self._above[places]) / (others + _PRIOR),
        )

    def external_rows(
        self, people: Ints, users: Ints, movies: Ints, stars: NDArray[np.floating[Any]]
    ) -> Rows:
        """Return rows from outside the reference, each compared with the other users' ratings.

        A user's own earlier rating of the movie does not count as another user's.
        """
        pairs = users * self.histories.n_movies + movies
        place = np.searchsorted(self._pairs, pairs, sorter=self._order)
        place = self._order[np.minimum(place, self._order.size - 1)]
        own = self._pairs[place] == pairs
        others = self.counts[movies] - own
        sums = self._sums[movies] - np.where(own, self._above[place], 0.0)
        return Rows(people, movies, stars.astype(np.float64), others, sums / (others + _PRIOR))

    def profile(self, rows: Rows) -> Profile:
        """Return the profile of some rows."""
        rated_before = rows.counts > 0
        popularity = np.searchsorted(self._edges, rows.counts[rated_before], side="left")
        above, effects = _centred(rows.people, rows.stars), _centred(rows.people, rows.effects)
        spread = float(np.sum(effects * effects))
        # By movie first, then by genre: a row for each rating's genres would take most of the time.
        n_movies = self.histories.n_movies
        crowd = np.bincount(rows.movies, minlength=n_movies)
        weights = self._by_genre(crowd)
        with np.errstate(invalid="ignore"):
            tastes = self._by_genre(np.bincount(rows.movies, above, n_movies)) / weights
        movies = np.flatnonzero(crowd)
        n_people = np.count_nonzero(np.bincount(rows.people))
        halves = np.rint(rows.stars * 2).astype(np.int64) - 1
        return Profile(
            stars=shares(np.bincount(halves, minlength=STARS.size).astype(float)),
            popularity=shares(np.bincount(popularity, minlength=POPULARITY_BINS).astype(float)),
            genres=shares(weights),
            novel=float(1 - rated_before.mean()),
            agreement=float(np.sum(above * effects)) / spread if spread > 0 else np.nan,
            tastes=tastes,
            crowd=(movies, crowd[movies] / n_people),
        )

    def _by_genre(self, per_movie: NDArray[Any]) -> Values:
        """Return the sums of a (n_movies,) array by genre."""
        # Not a matrix product: on a busy machine BLAS's threads wait for each other a hundred
        # times longer than these few additions take.
        total: Values = np.einsum("m,mg->g", per_movie, self.genres)
        return total


def _popularity_edges(counts: Ints) -> Values:
    """Return the counts that divide the movies into groups with about equal numbers of ratings."""
    ordered = np.sort(counts[counts > 0])
    mass = np.cumsum(ordered) / max(ordered.sum(), 1)
    wanted = np.arange(1, POPULARITY_BINS) / POPULARITY_BINS
    places = np.minimum(np.searchsorted(mass, wanted), max(ordered.size - 1, 0))
    edges: Values = ordered[places].astype(float) if ordered.size else np.zeros(wanted.size)
    return edges


def _centred(people: Ints, values: Values) -> Values:
    """Return ``values`` minus the mean of each user."""
    n = np.bincount(people)
    means = np.bincount(people, values) / np.maximum(n, 1)
    centred: Values = values - means[people]
    return centred


def sample_evenly(lengths: Ints, offsets: Values) -> tuple[Ints, Ints]:
    """Return evenly spaced places, at most :data:`MAX_PER_USER` from each history.

    ``lengths`` are the (n,) lengths of the histories and ``offsets`` the (n,) positions within a
    step, 0 to 1. The result is two flat arrays: the number of the history and the place in it.
    """
    taken = np.minimum(lengths, MAX_PER_USER)
    people = np.repeat(np.arange(lengths.size), taken)
    nth = np.arange(people.size) - np.repeat(np.cumsum(taken) - taken, taken)
    step = (lengths / np.maximum(taken, 1))[people]
    places = np.floor((nth + offsets[people]) * step).astype(np.int64)
    return people, np.minimum(places, lengths[people] - 1)
