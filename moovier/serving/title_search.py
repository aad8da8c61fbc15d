"""Movies by words of their titles, as somebody types them."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left

import numpy as np

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ints
from moovier.tmdb.details import natural_title

#: Words of a query that count; more make it no narrower.
_MOST_WORDS = 12


class Titles:
    """The words of all titles, sorted, each with the movies that have it."""

    def __init__(self, catalogue: Catalogue, popularity: Ints) -> None:
        """``popularity``: (n_movies,) decides among titles that fit as well."""
        rows: dict[str, list[int]] = {}
        titles = []
        for row, movie in enumerate(catalogue):
            words = _words(movie.title)
            # As MovieLens writes it, and as people do: "Matrix, The" and "The Matrix".
            titles.append({" ".join(words), " ".join(_words(natural_title(movie.title)))})
            for word in {*words, *([str(movie.year)] if movie.year is not None else [])}:
                rows.setdefault(word, []).append(row)
        self._words = sorted(rows)
        self._rows = [np.array(rows[word]) for word in self._words]
        self._titles = titles
        self._popularity = popularity

    def find(self, text: str) -> Ints:
        """Rows whose title (or year) has a word that begins with each of the query's, the best
        first: titles that are the query, that begin with it, the others; each by popularity.
        Accents, case and punctuation don't count; without a word all movies are found."""
        words = _words(text)[:_MOST_WORDS]
        found: Ints | None = None
        for word in words:
            rows = self._beginning_with(word)
            found = rows if found is None else np.intersect1d(found, rows, assume_unique=True)
        if found is None:
            found = np.arange(len(self._titles))
        query = " ".join(words)
        fit = (
            [min(_fit(title, query) for title in self._titles[row]) for row in found.tolist()]
            if query
            else [0] * len(found)
        )
        order = np.lexsort((found, -self._popularity[found], np.array(fit, dtype=np.int64)))
        return found[order]

    def _beginning_with(self, word: str) -> Ints:
        start = bisect_left(self._words, word)
        rows = []
        for place in range(start, len(self._words)):
            if not self._words[place].startswith(word):
                break
            rows.append(self._rows[place])
        return np.unique(np.concatenate(rows)) if rows else np.zeros(0, dtype=np.int64)


def _fit(title: str, query: str) -> int:
    """0 where they are the same, 1 where the title begins so, 2 else. Articles that MovieLens puts
    behind a title do not count against it."""
    if title == query or title in (f"{query} the", f"{query} a"):
        return 0
    return 1 if title.startswith(query) else 2


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = (letter for letter in plain if not unicodedata.combining(letter))
    return "".join(letter if letter.isalnum() else " " for letter in letters).split()
