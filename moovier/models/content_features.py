"""What a catalogue says of movies: genres and years as numbers, so that nearness is a product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.catalogue import NO_GENRE, Catalogue
from moovier.data.ratings import Floats, Ints
from moovier.models.family import as_float32

#: Years between two movies that halve their nearness, and years that a bump is set at.
YEAR_HALF_LIFE = 2.0


@dataclass(frozen=True)
class FeatureTable:
    """Vectors that many movies share, (n_kinds, k), and which one each movie has, (n_movies,)."""

    vectors: Floats
    of: Ints

    def rows(self) -> Floats:
        """Each movie's vector, (n_movies, k)."""
        return self.vectors[self.of]


def genres(catalogue: Catalogue, weight: float) -> FeatureTable:
    """The product of two movies' vectors is ``weight`` times the cosine of their genres, 0 to 1,
    rare genres counting more. A movie without genres is near nothing."""
    return _kinds(np.sqrt(weight) * _genres(catalogue))


def years(catalogue: Catalogue, weight: float) -> FeatureTable:
    """The product of two movies' vectors is ``weight`` times the cosine of bumps around their
    years, 0 to 1. A movie without a year is near nothing."""
    return _kinds(np.sqrt(weight) * _years(catalogue))


def _kinds(vectors: Floats) -> FeatureTable:
    shared, of = np.unique(vectors, axis=0, return_inverse=True)
    return FeatureTable(as_float32(shared), of.reshape(-1).astype(np.int64))


def _genres(catalogue: Catalogue) -> Floats:
    """Unit vectors over the genres, each weighted by its inverse document frequency."""
    names = sorted({name for movie in catalogue for name in movie.genres} - {NO_GENRE})
    column = {name: place for place, name in enumerate(names)}
    found = np.zeros((len(catalogue), max(len(names), 1)), dtype=np.float32)
    for row, movie in enumerate(catalogue):
        for name in movie.genres:
            if name in column:
                found[row, column[name]] = 1.0
    share = found.mean(axis=0)
    # Where every movie has the genre it tells nothing apart, but it must not vanish either.
    return _unit(found * (np.log(1.0 / np.maximum(share, 1e-9)) + 1e-3))


def _years(catalogue: Catalogue) -> Floats:
    """Unit vectors over the years that the catalogue spans, fading to both sides of a movie's."""
    known = [movie.year for movie in catalogue if movie.year is not None]
    if not known:
        return np.zeros((len(catalogue), 1), dtype=np.float32)
    grid = np.arange(min(known), max(known) + 1)
    found = np.zeros((len(catalogue), grid.size), dtype=np.float32)
    for row, movie in enumerate(catalogue):
        if movie.year is not None:
            found[row] = np.exp2(-np.abs(grid - movie.year) / YEAR_HALF_LIFE)
    return _unit(found)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)
