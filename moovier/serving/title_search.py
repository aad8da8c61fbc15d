"""Search for movies by words of their titles."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ints
from moovier.tmdb.details import natural_title

#: Words of a query that count; further words are ignored.
_MAX_WORDS = 12


class TitleIndex:
    """The words of all titles, sorted, each with the rows of the movies that have it."""

    def __init__(self, catalogue: Catalogue, popularity: Ints) -> None:
        """Index a catalogue; ``popularity``, (n_movies,), orders titles that fit equally well."""
        rows_by_word: dict[str, list[int]] = {}
        titles = []
        for row, movie in enumerate(catalogue):
            words = _words(movie.title)
            # MovieLens writes "Matrix, The", people type "The Matrix".
            titles.append({" ".join(words), " ".join(_words(natural_title(movie.title)))})
            for word in {*words, *([str(movie.year)] if movie.year is not None else [])}:
                rows_by_word.setdefault(word, []).append(row)
        self._words = sorted(rows_by_word)
        self._rows = [np.array(rows_by_word[word]) for word in self._words]
        self._titles = titles
        self._popularity = popularity

    def find(self, text: str) -> Ints:
        """Return the rows of the movies that match a query, best first.

        Each word of the query must be the beginning of a word of the title, or of the year. Titles
        equal to the query come first, then titles that begin with it, then the others; each group
        is ordered by popularity. Accents, case and punctuation do not count. A query without words
        matches all movies.
        """
        words = _words(text)[:_MAX_WORDS]
        rows = np.arange(len(self._titles))
        for place, word in enumerate(words):
            matches = self._rows_with_prefix(word)
            rows = matches if not place else np.intersect1d(rows, matches, assume_unique=True)
        query = " ".join(words)
        ranks = (
            [min(_rank(title, query) for title in self._titles[row]) for row in rows.tolist()]
            if query
            else [0] * len(rows)
        )
        order = np.lexsort((rows, -self._popularity[rows], np.array(ranks, dtype=np.int64)))
        return rows[order]

    def _rows_with_prefix(self, prefix: str) -> Ints:
        start = bisect_left(self._words, prefix)
        rows = []
        for place in range(start, len(self._words)):
            if not self._words[place].startswith(prefix):
                break
            rows.append(self._rows[place])
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.int64)


def _rank(title: str, query: str) -> int:
    """Return 0 for the same title, 1 for a title that begins with the query, else 2.

    An article that MovieLens puts behind a title does not count as a difference.
    """
    if title == query or title in (f"{query} the", f"{query} a"):
        return 0
    return 1 if title.startswith(query) else 2


def _words(text: str) -> list[str]:
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    letters = (letter for letter in decomposed if not unicodedata.combining(letter))
    return "".join(letter if letter.isalnum() else " " for letter in letters).split()
