"""Re-ranking of a list for variety: movies less alike, less popular, few of one series.

The method is maximal marginal relevance (Carbonell and Goldstein, "The use of MMR,
diversity-based reranking", SIGIR 1998): each place goes to the candidate with the best mean of
its relevance and its dissimilarity to the movies already placed.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from moovier.data.catalogue import NO_GENRE, Catalogue, natural_title
from moovier.data.ratings import Floats, Ints

#: Fewest candidates for a page: in total, and as a multiple of the page's size.
MIN_CANDIDATES, CANDIDATES_PER_PLACE = 100, 4
#: Shares of the genres and of the years of release in the similarity of two movies.
_GENRE_SHARE, _YEAR_SHARE = 0.8, 0.2
#: Years between two movies at which the similarity of years has fallen to 1/e.
_YEAR_SCALE = 10.0
_PARENTHESES = re.compile(r"\s*\([^)]*\)")
_NUMBER = re.compile(r"[\s,]+(?:part\s+|vol(?:ume)?\.?\s+|chapter\s+)?(?:[ivx]+|[0-9]{1,2})$")
_SUBTITLE = re.compile(r"(?:\s*:\s|\s+-\s|(?<=\w\w)\s+and the\s).*$")


@dataclass(frozen=True, slots=True)
class Variety:
    """How a list is re-ranked; the defaults leave it as it is.

    ``diversity``: weight of the dissimilarity to the movies before it, 0 to 1.
    ``novelty``: weight of a movie's unpopularity among the candidates in its relevance, 0 to 1.
    ``max_per_series``: most movies of one series on a page, at least 1; None for no limit.
    """

    diversity: float = 0.0
    novelty: float = 0.0
    max_per_series: int | None = None

    @property
    def is_off(self) -> bool:
        """Return whether the list stays as it is."""
        return not self.diversity and not self.novelty and self.max_per_series is None

    def candidates(self, top_k: int) -> int:
        """Return how many of the best movies compete for ``top_k`` places."""
        return top_k if self.is_off else max(MIN_CANDIDATES, CANDIDATES_PER_PLACE * top_k)


NO_VARIETY = Variety()


class VarietyIndex:
    """What re-ranking needs of a catalogue. Safe to share between threads."""

    def __init__(self, catalogue: Catalogue, counts: Ints) -> None:
        """Index the catalogue; ``counts`` are the ratings of each movie, (n_movies,)."""
        self._catalogue = catalogue
        #: Logarithm of 1 plus the ratings of each movie, (n_movies,).
        self.popularity: Floats = np.log1p(counts).astype(np.float32)

    @cached_property
    def _genres(self) -> Floats:
        """Return one row of unit length for each movie, (n_movies, n_genres); 0 without genres."""
        names = sorted({name for movie in self._catalogue for name in movie.genres} - {NO_GENRE})
        column = {name: place for place, name in enumerate(names)}
        matrix = np.zeros((len(self._catalogue), max(len(names), 1)), dtype=np.float32)
        for row, movie in enumerate(self._catalogue):
            for name in movie.genres:
                if name != NO_GENRE:
                    matrix[row, column[name]] = 1.0
        lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
        return np.asarray(matrix / np.maximum(lengths, 1.0), dtype=np.float32)

    @cached_property
    def _years(self) -> Floats:
        """Return the year of release of each movie, (n_movies,); NaN where it is unknown."""
        years = [np.nan if movie.year is None else movie.year for movie in self._catalogue]
        return np.array(years, dtype=np.float32)

    @cached_property
    def _series(self) -> Ints:
        """Return a number for each movie, (n_movies,), equal for the movies of one series."""
        numbers: dict[str, int] = {}
        keys = (series_key(movie.title) for movie in self._catalogue)
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    def similarity(self, rows: Ints) -> Floats:
        """Return how alike the movies in ``rows`` are, (k, k), 0 to 1."""
        genres, years = self._genres[rows], self._years[rows]
        gap = np.abs(years[:, None] - years[None, :])
        close = np.exp(-np.nan_to_num(gap, nan=np.inf) / _YEAR_SCALE)
        return np.asarray(_GENRE_SHARE * (genres @ genres.T) + _YEAR_SHARE * close)

    def rerank(self, scores: Floats, rows: Ints, variety: Variety, top_k: int) -> Ints:
        """Return ``top_k`` of the candidates ``rows``, in the order of the re-ranked list.

        ``scores``: (n_movies,), finite for each candidate. ``rows`` come best first. If the limit
        per series leaves places empty, the best candidates beyond the limit fill them.
        """
        size = min(top_k, rows.size)
        if variety.is_off or not size:
            return rows[:size]
        relevance = (1.0 - variety.novelty) * _scaled(scores[rows])
        relevance += variety.novelty * (1.0 - _scaled(self.popularity[rows]))
        similarity = self.similarity(rows) if variety.diversity else None
        allowed = self._limiter(rows, variety.max_per_series)
        chosen: list[int] = []
        value = (1.0 - variety.diversity) * relevance
        nearest = np.zeros(rows.size)
        while len(chosen) < size:
            place = int(np.argmax(value - variety.diversity * nearest))
            if value[place] == -np.inf:
                break
            value[place] = -np.inf
            if not allowed(place):
                continue
            chosen.append(place)
            if similarity is not None:
                nearest = np.maximum(nearest, similarity[place])
        if len(chosen) < size:
            rest = np.setdiff1d(np.arange(rows.size), chosen)
            chosen += rest[: size - len(chosen)].tolist()
        return np.asarray(rows[chosen])

    def _limiter(self, rows: Ints, most: int | None) -> _Limiter:
        return _Limiter(None if most is None else self._series[rows].tolist(), most or 0)


class _Limiter:
    """Allows ``most`` candidates of each series; any number without ``series``."""

    def __init__(self, series: list[int] | None, most: int) -> None:
        self._series, self._most = series, most
        self._used: Counter[int] = Counter()

    def __call__(self, place: int) -> bool:
        if self._series is None:
            return True
        number = self._series[place]
        self._used[number] += 1
        return self._used[number] <= self._most


def series_key(title: str) -> str:
    """Return a key that the movies of one series share, by their titles alone.

    It is the title without parentheses, subtitle and number: ``toy story`` for "Toy Story 2",
    ``star wars`` for "Star Wars: Episode IV - A New Hope". A series whose titles have no common
    beginning is not recognised.
    """
    name = natural_title(_PARENTHESES.sub("", title)).casefold().strip()
    for pattern in (_SUBTITLE, _NUMBER):
        shorter = pattern.sub("", name).strip()
        if shorter:
            name = shorter
    return name


def _scaled(values: Floats) -> Floats:
    """Return values scaled to the range from 0 to 1; all 1 if they are equal."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return np.ones_like(values)
    return np.asarray((values - low) / (high - low), dtype=np.float32)
