"""Vectors of the movies' genres and years; their products are similarities."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from moovier.data.catalogue import NO_GENRE, Catalogue, Movie
from moovier.data.ratings import Floats, Ints
from moovier.models.family import as_float32

#: Distance in years from a movie's year at which its bump has fallen to half.
YEAR_HALF_LIFE = 2.0


@dataclass(frozen=True)
class FeatureTable:
    """Feature vectors that several movies may share.

    ``vectors``: (n_kinds, k), each distinct vector once. ``of``: (n_movies,) row of each movie's
    vector.
    """

    vectors: Floats
    of: Ints

    def rows(self) -> Floats:
        """Return each movie's vector, (n_movies, k)."""
        return self.vectors[self.of]


def genres(catalogue: Catalogue, weight: float) -> FeatureTable:
    """Return genre vectors; the product of two is ``weight`` times their cosine, 0 to 1.

    Rare genres count more. A movie without genres has a vector of zeros.
    """
    return _table(np.sqrt(weight) * genre_vectors(catalogue))


def years(catalogue: Catalogue, weight: float) -> FeatureTable:
    """Return year vectors; the product of two is ``weight`` times their cosine, 0 to 1.

    A vector is a bump around the movie's year. A movie without a year has a vector of zeros.
    """
    return _table(np.sqrt(weight) * year_vectors(catalogue))


def _table(vectors: Floats) -> FeatureTable:
    distinct, of = np.unique(vectors, axis=0, return_inverse=True)
    return FeatureTable(as_float32(distinct), of.reshape(-1).astype(np.int64))


class GenreSpace:
    """The genres of a catalogue, each weighted by its inverse document frequency."""

    def __init__(self, catalogue: Catalogue) -> None:
        """Count the genres of ``catalogue``."""
        names = sorted({name for movie in catalogue for name in movie.genres} - {NO_GENRE})
        self._column = {name: place for place, name in enumerate(names)}
        share = self._counts(catalogue).mean(axis=0)
        # A genre that every movie has gets a small weight, so that its vector has a direction.
        self._weights = np.log(1.0 / np.maximum(share, 1e-9)) + 1e-3

    def vectors(self, movies: Iterable[Movie]) -> Floats:
        """Return a unit vector for each movie, (n_movies, n_genres).

        Genres that the catalogue lacks do not count; a movie without others has zeros.
        """
        return _unit(self._counts(movies) * self._weights)

    def _counts(self, movies: Iterable[Movie]) -> Floats:
        genres_of = [movie.genres for movie in movies]
        vectors = np.zeros((len(genres_of), max(len(self._column), 1)), dtype=np.float32)
        for row, names in enumerate(genres_of):
            for name in names:
                if name in self._column:
                    vectors[row, self._column[name]] = 1.0
        return vectors


def genre_vectors(catalogue: Catalogue) -> Floats:
    """Return unit vectors over the genres, each weighted by its inverse document frequency."""
    return GenreSpace(catalogue).vectors(catalogue)


def year_cosines(years: Ints, year: int | None) -> Floats:
    """Return the cosine of a movie of ``year`` with movies of ``years``, (n_movies,), 0 to 1.

    It is that of the bumps of :func:`year_vectors` on a line without ends. A negative year is
    unknown. With r = 2^(-1 / half-life), two bumps d years apart have the cosine
    r^d (1 + d (1 - r²) / (1 + r²)), by the geometric series.
    """
    if year is None:
        return np.zeros(years.size, dtype=np.float32)
    gap, ratio = np.abs(years - year), 2.0 ** (-1.0 / YEAR_HALF_LIFE)
    cosines = ratio**gap * (1.0 + gap * (1 - ratio**2) / (1 + ratio**2))
    return np.where(years >= 0, cosines, 0.0).astype(np.float32)


def year_vectors(catalogue: Catalogue) -> Floats:
    """Return unit vectors over the catalogue's years, highest at the movie's own year."""
    known = [movie.year for movie in catalogue if movie.year is not None]
    if not known:
        return np.zeros((len(catalogue), 1), dtype=np.float32)
    grid = np.arange(min(known), max(known) + 1)
    vectors = np.zeros((len(catalogue), grid.size), dtype=np.float32)
    for row, movie in enumerate(catalogue):
        if movie.year is not None:
            vectors[row] = np.exp2(-np.abs(grid - movie.year) / YEAR_HALF_LIFE)
    return _unit(vectors)


def _unit(vectors: Floats) -> Floats:
    """Return the rows at length 1; rows of zeros stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
