"""Filters of a catalogue by genre and year."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from cachetools import LRUCache
from numpy.typing import NDArray

from moovier.data.catalogue import NO_GENRE, Catalogue
from moovier.data.ratings import Floats
from moovier.errors import BadRequest
from moovier.serving import cache_sizes
from moovier.tmdb.details import GENRES

Mask = NDArray[np.bool_]
#: Most masks in memory, the most recently used ones.
CACHED_MASKS = 128
_NO_YEAR = -1


@dataclass(frozen=True)
class Filter:
    """A choice of genres and years.

    A movie passes with any of ``genres``; no genres mean all. ``year_from`` and ``year_to`` are
    inclusive. A movie whose year is unknown passes only a filter without years. ``tmdb_ids``: only
    these movies pass; None for all.
    """

    genres: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None
    tmdb_ids: frozenset[int] | None = None

    @property
    def is_empty(self) -> bool:
        """Return whether every movie passes."""
        return (
            not self.genres
            and self.year_from is None
            and self.year_to is None
            and self.tmdb_ids is None
        )


class FilterIndex:
    """Masks over the rows of a catalogue. Safe to share between threads."""

    def __init__(self, catalogue: Catalogue) -> None:
        rows_by_genre: dict[str, list[int]] = {}
        for row, movie in enumerate(catalogue):
            for name in movie.genres:
                rows_by_genre.setdefault(name, []).append(row)
        self.genres = tuple(sorted(set(rows_by_genre) - {NO_GENRE}))
        self._size = len(catalogue)
        self._rows = {name.casefold(): np.array(rows_by_genre[name]) for name in self.genres}
        # Answers have TMDB's names of genres, so a filter takes both names.
        for name, (_, tmdb_name) in GENRES.items():
            if name.casefold() in self._rows:
                self._rows.setdefault(tmdb_name.casefold(), self._rows[name.casefold()])
        self._years = np.array(
            [_NO_YEAR if movie.year is None else movie.year for movie in catalogue], dtype=np.int64
        )
        self._tmdb_ids = np.array([movie.tmdb_id or 0 for movie in catalogue], dtype=np.int64)
        known = self._years[self._years != _NO_YEAR]
        #: First and last year of release; None where no movie's year is known.
        self.span = (int(known.min()), int(known.max())) if known.size else None
        self._lock = threading.Lock()
        self._cache: LRUCache[Filter, tuple[Mask, Floats]] = LRUCache(
            cache_sizes.entries(CACHED_MASKS, 5 * self._size)
        )

    def mask(self, movie_filter: Filter) -> Mask:
        """Return which movies pass, (n_movies,); do not write to it.

        Raises:
            BadRequest: a genre is unknown, or ``year_from`` is after ``year_to``.
        """
        return self._mask_and_penalty(movie_filter)[0]

    def penalty(self, movie_filter: Filter) -> Floats:
        """Return what to add to scores: 0 where a movie passes, else -inf, (n_movies,).

        Adding takes a tenth of the time of writing by a mask. Do not write to it.

        Raises:
            BadRequest: a genre is unknown, or ``year_from`` is after ``year_to``.
        """
        return self._mask_and_penalty(movie_filter)[1]

    def _mask_and_penalty(self, movie_filter: Filter) -> tuple[Mask, Floats]:
        with self._lock:
            cached = self._cache.get(movie_filter)
        if cached is None:
            mask = self._build_mask(movie_filter)
            cached = mask, np.where(mask, np.float32(0), np.float32(-np.inf))
            with self._lock:
                self._cache[movie_filter] = cached
        return cached

    def _build_mask(self, movie_filter: Filter) -> Mask:
        first, last = movie_filter.year_from, movie_filter.year_to
        if first is not None and last is not None and first > last:
            raise BadRequest(f"year_from {first} is after year_to {last}; swap them")
        mask = np.ones(self._size, dtype=np.bool_)
        if movie_filter.genres:
            mask[:] = False
            for name in movie_filter.genres:
                rows = self._rows.get(name.casefold())
                if rows is None:
                    genres = ", ".join(self.genres)
                    raise BadRequest(f"unknown genre {name[:100]!r}; the genres are {genres}")
                mask[rows] = True
        if first is not None:
            mask &= self._years >= first
        if last is not None:
            mask &= (self._years <= last) & (self._years != _NO_YEAR)
        if movie_filter.tmdb_ids is not None:
            mask &= np.isin(self._tmdb_ids, list(movie_filter.tmdb_ids))
        return mask
