"""Search for movies by title, as people type titles.

A query and a title are compared in a common form: without case, accents, punctuation and leading
article, with ``&`` as *and* and Roman numerals as Arabic ones. Words with an apostrophe or a hyphen
are indexed both joined and split. Where no title fits, small typing errors are allowed: `RapidFuzz
<https://rapidfuzz.github.io/RapidFuzz/>`_ computes the optimal string alignment distance, in which
two swapped letters are one error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

from moovier.data.catalogue import Catalogue, natural_title
from moovier.data.ratings import Ints
from moovier.serving.sorted_texts import MovieTexts, SortedTexts

#: Words of a query that count; further words are ignored.
_MAX_WORDS = 12
#: Titles whose words are remembered, the most recently used ones.
_REMEMBERED_TITLES = 10_000
#: How well a title fits: the lower, the better. Equal fits are ordered by popularity.
_SAME, _BEGINS_ALIKE, _HAS_WORDS, _SAME_WITH_ERRORS, _HAS_BEGINNINGS, _HAS_SIMILAR, _NO_FIT = range(
    7
)
#: Leading articles that people leave out. "Die" is not one of them, because of "Die Hard".
_ARTICLES = frozenset(("the", "a", "an", "la", "le", "les", "l", "el", "los", "las", "il"))
_APOSTROPHES = dict.fromkeys(map(ord, "'’‘`´ʼ"), "'")
#: Letters that Unicode does not decompose.
_PLAIN_LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d"})
_NUMERALS = (
    ("one",),
    ("two", "ii"),
    ("three", "iii"),
    ("four", "iv"),
    ("five",),
    ("six", "vi"),
    ("seven", "vii"),
    ("eight", "viii"),
    ("nine", "ix"),
    ("ten",),
    ("eleven", "xi"),
    ("twelve", "xii"),
    ("thirteen", "xiii"),
    ("fourteen", "xiv"),
    ("fifteen", "xv"),
)
_NUMBERS = {word: str(n) for n, words in enumerate(_NUMERALS, start=1) for word in words}
#: Numerals that are also words, as in "I, Robot". They are numbers only as the last word of a title
#: or after one of ``_PARTS``.
_UNSURE_NUMBERS = {"i": "1", "v": "5", "x": "10"}
_PARTS = frozenset(("part", "episode", "chapter", "volume", "vol"))


class TitleIndex:
    """The titles of a catalogue, indexed by words and as a whole."""

    def __init__(
        self,
        catalogue: Catalogue,
        popularity: Ints,
        base: TitleIndex | None = None,
        base_rows: Ints | None = None,
        indexed: tuple[SortedTexts, SortedTexts] | None = None,
    ) -> None:
        """Index a catalogue; ``popularity``, (n_movies,), orders titles that fit equally well.

        ``base`` is the index of a catalogue of which this one has most movies, so that only the
        others are indexed. ``base_rows``: the row of each movie of ``base``; -1 of a movie that is
        not taken over. ``indexed``: :func:`index_titles` of the whole catalogue, if it is known.
        """
        self._n_movies = len(catalogue)
        rows = np.arange(self._n_movies)
        if base is None or base_rows is None:
            titles, words = indexed or index_titles(catalogue, range(self._n_movies))
            self._titles, self._words = MovieTexts([(titles, None)]), MovieTexts([(words, None)])
        else:
            own = np.setdiff1d(rows, base_rows).tolist()
            titles, words = index_titles(catalogue, own, forms=_remembered_forms)
            self._titles = base._titles.moved(base_rows) + MovieTexts([(titles, None)])
            self._words = base._words.moved(base_rows) + MovieTexts([(words, None)])
        self._by_popularity = np.lexsort((rows, -np.asarray(popularity)))

    def find(self, text: str) -> Ints:
        """Return the rows of the movies that match a query, best first.

        First the titles equal to the query, then those that begin with it, then those that have
        all of its words. Where there is none: titles that differ by one or two typing errors, then
        titles whose words begin with the query's, then titles with similar words. Each group is
        ordered by popularity. A word of four digits may be the year of release. A query without
        words matches all movies.
        """
        # In title case, as natural_title expects its articles; the case is dropped afterwards.
        tokens = _tokens(natural_title(text.strip().title()))[:_MAX_WORDS]
        if not tokens:
            return self._by_popularity.copy()
        fits = np.full(self._n_movies, _NO_FIT, dtype=np.int8)
        whole = _whole(tokens)
        queries = _query_words(tokens)
        for words in queries:
            fits[self._has_all(self._words.with_prefix([word]) for word in words)] = _HAS_BEGINNINGS
        for words in queries:
            fits[self._has_all(self._words.equal([word]) for word in words)] = _HAS_WORDS
        fits[self._titles.with_prefix(whole)] = _BEGINS_ALIKE
        fits[self._titles.equal(whole)] = _SAME
        if fits.min(initial=_NO_FIT) > _HAS_WORDS:
            for words in queries:
                _improve(fits, self._has_all(map(self._resembling, words)), _HAS_SIMILAR)
            _improve(fits, self._titles.similar(whole), _SAME_WITH_ERRORS)
        ordered = fits[self._by_popularity]
        groups = [self._by_popularity[ordered == fit] for fit in range(_NO_FIT)]
        return np.concatenate(groups)

    def _resembling(self, word: str) -> Ints:
        """Return the rows with a word that begins with this one or differs by typing errors."""
        return np.concatenate([self._words.with_prefix([word]), self._words.similar([word])])

    def _has_all(self, rows_by_word: Iterable[Ints]) -> Ints:
        """Return the rows that every one of the arrays holds."""
        has_all = np.ones(self._n_movies, dtype=np.bool_)
        for rows in rows_by_word:
            has_word = np.zeros(self._n_movies, dtype=np.bool_)
            has_word[rows] = True
            has_all &= has_word
        return np.flatnonzero(has_all)


#: Gives a title's texts as a whole, and its words.
_Forms = Callable[[str], tuple[frozenset[str], frozenset[str]]]


def _forms(title: str) -> tuple[frozenset[str], frozenset[str]]:
    tokens = [_tokens(variant) for variant in title_variants(title)]
    whole = frozenset(text for words in tokens for text in _whole(words))
    return whole, frozenset(word for words in tokens for word in _index_words(words))


#: For titles that are indexed again after each change of another one.
_remembered_forms = lru_cache(_REMEMBERED_TITLES)(_forms)


def index_titles(
    catalogue: Catalogue, rows: Iterable[int], forms: _Forms = _forms
) -> tuple[SortedTexts, SortedTexts]:
    """Return the whole titles and the words of the movies in ``rows``."""
    words: list[tuple[str, int]] = []
    titles: list[tuple[str, int]] = []
    for row in rows:
        movie = catalogue[row]
        whole, own_words = forms(movie.title)
        titles += [(text, row) for text in whole]
        words += [(word, row) for word in own_words]
        if movie.year is not None:
            words.append((str(movie.year), row))
    return SortedTexts.of(titles), SortedTexts.of(words)


def _improve(fits: np.ndarray, rows: Ints, fit: int) -> None:
    """Lower the entries of ``rows`` in ``fits`` to ``fit`` where they are higher."""
    fits[rows] = np.minimum(fits[rows], fit)


def title_words(title: str) -> list[str]:
    """Return the words of a title in the common form, without a leading article."""
    return _numbered(_split(_without_article(_tokens(title))))


def whole_titles(title: str) -> list[str]:
    """Return the common forms of a whole title, without spaces."""
    return _whole(_tokens(title))


def title_variants(title: str) -> set[str]:
    """Return a title as people write it, and its other titles, which MovieLens has in brackets.

    MovieLens writes "Matrix, The" and "Seven (a.k.a. Se7en)".
    """
    parts = [part.strip() for part in re.split(r"[()]", title)]
    plain = [re.sub(r"^a\.?k\.?a\.?\s", "", part, flags=re.IGNORECASE) for part in parts if part]
    return {natural_title(part) for part in (title, *plain)}


def _tokens(text: str) -> list[str]:
    """Return the words of a text, in lower case and without accents.

    An apostrophe, a hyphen or a dot within a word becomes an apostrophe; "&" becomes "and".
    """
    decomposed = unicodedata.normalize("NFKD", text).casefold().translate(_PLAIN_LETTERS)
    letters = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    spelt = letters.translate(_APOSTROPHES).replace("&", " and ")
    marked = re.sub(r"(?<=\w)[-‐‑–·.](?=\w)", "'", spelt)
    words = re.sub(r"[^\w']|_", " ", marked).split()
    return [word.strip("'") for word in words if word.strip("'")]


def _joined(words: Sequence[str]) -> list[str]:
    return [word.replace("'", "") for word in words]


def _split(words: Sequence[str]) -> list[str]:
    return [part for word in words for part in word.split("'") if part]


def _numbered(words: Sequence[str]) -> list[str]:
    """Return the words with Roman numerals and number words as digits."""
    digits = []
    for place, word in enumerate(words):
        is_number = place > 0 and (place == len(words) - 1 or words[place - 1] in _PARTS)
        unsure = _UNSURE_NUMBERS.get(word, word) if is_number else word
        digits.append(_NUMBERS.get(word, unsure))
    return digits


def _index_words(tokens: Sequence[str]) -> set[str]:
    """Return the words of a title for the index, including joined neighbours."""
    joined, split = _joined(tokens), _split(tokens)
    pairs = [first + second for first, second in pairwise(joined)]
    return {*joined, *split, *_numbered(joined), *_numbered(split), *pairs}


def _query_words(tokens: Sequence[str]) -> list[list[str]]:
    """Return several readings of a query; a title matches with all words of any reading."""
    words = _without_article(tokens)
    joined, split = _joined(words), _split(words)
    readings = [joined, split, _numbered(joined), _numbered(split)]
    return [list(words) for words in dict.fromkeys(map(tuple, readings))]


def _whole(tokens: Sequence[str]) -> list[str]:
    """Return the forms of a whole title, without spaces: with and without its leading article."""
    forms = [_joined(_without_article(tokens)), _joined(tokens)]
    return list(
        dict.fromkeys("".join(words) for form in forms for words in (form, _numbered(form)))
    )


def _without_article(tokens: Sequence[str]) -> list[str]:
    """Return the words without a leading article, unless nothing else is left."""
    return list(tokens[1:] if len(tokens) > 1 and tokens[0] in _ARTICLES else tokens)
