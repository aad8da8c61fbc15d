"""What a handful of people's ratings look like: the profile that drift is measured on.

A profile is about rows that each belong to a person. Of one person at most :data:`MOST_EACH` rows
count, so that no one drowns the others.
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

MOST_EACH = 50
STARS = np.arange(0.5, 5.01, 0.5)
#: Groups of movies, from rare to popular; each has about the same share of the ratings.
POPULARITY_BINS = 10
#: Ratings of the mean that a movie's own ratings are drawn towards.
_PRIOR = 5.0


@dataclass(frozen=True)
class Rows:
    """Some ratings: whose they are (``people``, 0..n-1), and of what.

    ``counts``: how many *other* people rated the movie in the reference. ``effects``: by how many
    stars those others rate the movie above what they usually give, drawn towards 0.
    """

    people: Ints
    movies: Ints
    stars: Values
    counts: Ints
    effects: Values


@dataclass(frozen=True)
class Profile:
    """``stars``, ``popularity``, ``genres``: shares. ``novel``: share of ratings whose movie nobody
    else rated before. ``agreement``: stars that people give a movie above their own mean, per star
    that others did (1: just as others; below 0: the opposite). ``tastes``: stars above their own
    mean by genre, NaN for a genre that is not there. ``crowd``: movies and the share of the people
    who rated each."""

    stars: Values
    popularity: Values
    genres: Values
    novel: float
    agreement: float
    tastes: Values
    crowd: tuple[Ints, Values]


class Reference:
    """The reference's ratings, prepared so that many windows can be cut out of them."""

    def __init__(self, ratings: Ratings, genres: Values) -> None:
        """``genres``: (n_movies, n_genres) shares."""
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
        self._edges = _edges(self.counts)
        self._pairs = owner * h.n_movies + h.movies
        self._order = np.argsort(self._pairs, kind="stable")

    def rows(self, people: Ints, places: Ints) -> Rows:
        """Rows of the reference itself, each judged by what others said."""
        movies = self.histories.movies[places].astype(np.int64)
        others = self.counts[movies] - 1
        return Rows(
            people=people,
            movies=movies,
            stars=self.histories.stars[places].astype(np.float64),
            counts=others,
            effects=(self._sums[movies] - self._above[places]) / (others + _PRIOR),
        )

    def foreign(self, people: Ints, users: Ints, movies: Ints, stars: Values) -> Rows:
        """Rows from elsewhere; a person's own earlier rating of the movie is not others'."""
        pairs = users * self.histories.n_movies + movies
        place = np.searchsorted(self._pairs, pairs, sorter=self._order)
        place = self._order[np.minimum(place, self._order.size - 1)]
        own = self._pairs[place] == pairs
        others = self.counts[movies] - own
        sums = self._sums[movies] - np.where(own, self._above[place], 0.0)
        return Rows(people, movies, stars.astype(np.float64), others, sums / (others + _PRIOR))

    def profile(self, rows: Rows) -> Profile:
        seen = rows.counts > 0
        popularity = np.searchsorted(self._edges, rows.counts[seen], side="left")
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
            novel=float(1 - seen.mean()),
            agreement=float(np.sum(above * effects)) / spread if spread > 0 else np.nan,
            tastes=tastes,
            crowd=(movies, crowd[movies] / n_people),
        )

    def _by_genre(self, per_movie: NDArray[Any]) -> Values:
        """Not by matrix product: on a busy machine BLAS's threads wait for each other a hundred
        times longer than these few additions take."""
        total: Values = np.einsum("m,mg->g", per_movie, self.genres)
        return total


def _edges(counts: Ints) -> Values:
    """Counts that part the movies into groups with about the same share of the ratings."""
    ordered = np.sort(counts[counts > 0])
    mass = np.cumsum(ordered) / max(ordered.sum(), 1)
    wanted = np.arange(1, POPULARITY_BINS) / POPULARITY_BINS
    places = np.minimum(np.searchsorted(mass, wanted), max(ordered.size - 1, 0))
    edges: Values = ordered[places].astype(float) if ordered.size else np.zeros(wanted.size)
    return edges


def _centred(people: Ints, values: Values) -> Values:
    """``values`` less their mean per person."""
    n = np.bincount(people)
    means = np.bincount(people, values) / np.maximum(n, 1)
    centred: Values = values - means[people]
    return centred


def sampled(lengths: Ints, offsets: Values) -> tuple[Ints, Ints]:
    """Evenly spread places of at most :data:`MOST_EACH` in stretches of these lengths.

    ``offsets``: (n,) in 0..1, where in its step each stretch is met. Returns, flat, whose stretch
    each place is in and the place, from 0.
    """
    taken = np.minimum(lengths, MOST_EACH)
    people = np.repeat(np.arange(lengths.size), taken)
    nth = np.arange(people.size) - np.repeat(np.cumsum(taken) - taken, taken)
    step = (lengths / np.maximum(taken, 1))[people]
    places = np.floor((nth + offsets[people]) * step).astype(np.int64)
    return people, np.minimum(places, lengths[people] - 1)
