"""The rated movies most like a new movie by content: genres, year and words."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Ints
from moovier.models.content_features import GenreSpace, year_cosines
from moovier.models.top_k import top_rows

_WORD = re.compile(r"[^\W_]+")
#: Words of a text that are counted.
_MAX_WORDS = 5000
#: What decides a movie's neighbours: genres, year and text.
_Content = tuple[tuple[str, ...], int | None, str]


@dataclass(frozen=True)
class Similarity:
    """How neighbours are chosen and weighted; docs/decisions/new-movies.md has the measurements.

    ``genres``, ``years``, ``text``: weights of the three cosines. ``neighbours``: rated movies
    that count. ``power``: exponent of a neighbour's similarity in its weight. ``damping``: number
    of ratings at which a neighbour gets half of its weight.
    """

    genres: float = 0.5
    years: float = 0.5
    text: float = 1.0
    neighbours: int = 200
    power: float = 6.0
    damping: float = 5.0


DEFAULT = Similarity()


@dataclass(frozen=True)
class Neighbours:
    """The rated movies most like each new movie, best first.

    ``rows``: (n_new, k) movie rows. ``weights``: (n_new, k), which sum to 1 in each row.
    """

    rows: Ints
    weights: Floats

    def mean(self, scores: Floats) -> Floats:
        """Return the weighted mean of the neighbours' ``scores``, (…, n_movies) to (…, n_new)."""
        return np.asarray((scores[..., self.rows] * self.weights).sum(axis=-1), dtype=np.float32)


class ContentIndex:
    """The content of the rated movies of a catalogue. Safe to share between threads.

    The neighbours of a new movie do not depend on other new movies. So the result of the last call
    stays in memory, and a call compares only the movies that have changed since then.
    """

    def __init__(
        self,
        rated: Catalogue,
        texts: Sequence[str],
        counts: Ints,
        similarity: Similarity = DEFAULT,
    ) -> None:
        """Index the rated movies; ``texts``: the words of each movie.

        ``counts``: (n_rated,) ratings of each movie; a movie without ratings is no neighbour.
        """
        self._similarity = similarity
        self._genres = GenreSpace(rated)
        self._genre_vectors = self._genres.vectors(rated)
        self._years = np.array([-1 if m.year is None else m.year for m in rated], dtype=np.int64)
        self._words = WordIndex(texts)
        self._trust = (counts / (counts + similarity.damping)).astype(np.float32)
        self._not_rated = np.flatnonzero(counts == 0)
        size = min(similarity.neighbours, int(np.count_nonzero(counts)))
        self._lock = threading.Lock()
        self._places: dict[_Content, int] = {}
        self._found = Neighbours(np.zeros((0, size), np.int64), np.zeros((0, size), np.float32))

    def find(self, movies: Sequence[Movie], texts: Sequence[str]) -> Neighbours:
        """Return the neighbours of each movie; ``texts``: the words of each movie."""
        contents: list[_Content] = [
            (movie.genres, movie.year, text) for movie, text in zip(movies, texts, strict=True)
        ]
        with self._lock:
            before, size = self._found, self._found.rows.shape[1]
            found = Neighbours(
                np.empty((len(movies), size), np.int64), np.empty((len(movies), size), np.float32)
            )
            known = [self._places.get(content, -1) for content in contents]
            kept = np.flatnonzero(np.array(known, dtype=np.int64) >= 0)
            old = np.array(known, dtype=np.int64)[kept]
            found.rows[kept], found.weights[kept] = before.rows[old], before.weights[old]
            for place, (movie, text) in enumerate(zip(movies, texts, strict=True)):
                if known[place] < 0:
                    found.rows[place], found.weights[place] = self._find_one(movie, text)
            self._places = {content: place for place, content in enumerate(contents)}
            self._found = found
        return found

    def _find_one(self, movie: Movie, text: str) -> tuple[Ints, Floats]:
        similarity = self._similarity
        alike = similarity.genres * (self._genre_vectors @ self._genres.vectors([movie])[0])
        alike += similarity.years * year_cosines(self._years, movie.year)
        if similarity.text:
            alike += similarity.text * self._words.cosines(text)
        # A movie with no content at all has no direction: every rated movie is as near.
        weight = np.maximum(alike, np.float32(1e-6)) ** similarity.power * self._trust
        weight[self._not_rated] = -np.inf
        rows = top_rows(weight, self._found.rows.shape[1])
        # In double precision: the powers of small similarities are tiny.
        best = weight[rows].astype(np.float64)
        return rows, (best / best.sum()).astype(np.float32)


class WordIndex:
    """Texts by words, for the cosine of TF-IDF vectors (logarithm of the counts, smooth IDF)."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Index the words of ``texts``."""
        self._n_texts = len(texts)
        places: dict[str, list[tuple[int, float]]] = {}
        for row, text in enumerate(texts):
            for word, frequency in _frequencies(text).items():
                places.setdefault(word, []).append((row, frequency))
        self._idf = {word: self._idf_of(len(rows)) for word, rows in places.items()}
        self._rows = {
            word: (np.array([r for r, _ in pairs]), np.array([f for _, f in pairs], np.float32))
            for word, pairs in places.items()
        }
        squares = np.zeros(self._n_texts, dtype=np.float32)
        for word, (rows, frequencies) in self._rows.items():
            squares[rows] += (frequencies * self._idf[word]) ** 2
        self._lengths = np.sqrt(np.maximum(squares, 1e-12))

    def cosines(self, text: str) -> Floats:
        """Return the cosine of ``text`` with each text, (n_texts,), 0 to 1."""
        products, square = np.zeros(self._n_texts, dtype=np.float32), 0.0
        for word, frequency in _frequencies(text).items():
            value = frequency * self._idf.get(word, self._idf_of(0))
            square += value**2
            if word in self._rows:
                rows, frequencies = self._rows[word]
                products[rows] += value * self._idf[word] * frequencies
        return np.asarray(products / (self._lengths * max(np.sqrt(square), 1e-6)), dtype=np.float32)

    def _idf_of(self, n_texts: int) -> float:
        return float(np.log((1 + self._n_texts) / (1 + n_texts)) + 1.0)


def _frequencies(text: str) -> dict[str, float]:
    """Return each word's weight by its count; words without case and accents."""
    letters = text.casefold()
    if not letters.isascii():
        plain = unicodedata.normalize("NFKD", letters)
        letters = "".join(letter for letter in plain if not unicodedata.combining(letter))
    words = Counter(word for word in _WORD.findall(letters)[:_MAX_WORDS] if len(word) > 1)
    return {word: 1.0 + float(np.log(count)) for word, count in words.items()}
