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
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
from rapidfuzz.distance import OSA

from moovier.data.catalogue import Catalogue, natural_title
from moovier.data.ratings import Ints

#: Words of a query that count; further words are ignored.
_MAX_WORDS = 12
#: Titles whose words are remembered, the most recently used ones.
_REMEMBERED_TITLES = 10_000
#: Minimum length of a text, and the typing errors allowed in it; longest first.
_ALLOWED_ERRORS = ((8, 2), (4, 1))
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
    ) -> None:
        """Index a catalogue; ``popularity``, (n_movies,), orders titles that fit equally well.

        ``base`` is the index of a catalogue of which this one has most movies, so that only the
        others are indexed. ``base_rows``: the row of each movie of ``base``; -1 of a movie that is
        not taken over.
        """
        self._n_movies = len(catalogue)
        rows = np.arange(self._n_movies)
        if base is None or base_rows is None:
            self._titles, self._words = _indexed(catalogue, range(self._n_movies))
        else:
            own = np.setdiff1d(rows, base_rows).tolist()
            titles, words = _indexed(catalogue, own, forms=_remembered_forms)
            self._titles = base._titles.moved(base_rows) + titles
            self._words = base._words.moved(base_rows) + words
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


class _Texts:
    """Texts in several parts, each with the rows of the movies that have it."""

    def __init__(self, parts: Sequence[tuple[_SortedTexts, Ints | None]]) -> None:
        """Keep parts, each with the final row of each of its rows; None: they are final."""
        self._parts = tuple(parts)

    def __add__(self, other: _Texts) -> _Texts:
        return _Texts((*self._parts, *other._parts))

    def moved(self, rows: Ints) -> _Texts:
        """Return the texts with each row r replaced by ``rows[r]``; those with -1 are left out."""
        return _Texts(
            [(part, rows if moved is None else rows[moved]) for part, moved in self._parts]
        )

    def equal(self, texts: Sequence[str]) -> Ints:
        """Return the rows with any of the texts."""
        return self._rows(lambda part: part.equal(texts))

    def with_prefix(self, prefixes: Sequence[str]) -> Ints:
        """Return the rows with a text that begins with any of the prefixes.

        A number matches only itself: "2" does not match "2001".
        """
        return self._rows(lambda part: part.with_prefix(prefixes))

    def similar(self, texts: Sequence[str]) -> Ints:
        """Return the rows with a text that differs from one of these by few typing errors."""
        return self._rows(lambda part: part.similar(texts))

    def _rows(self, find: Callable[[_SortedTexts], Ints]) -> Ints:
        found = [
            rows if moved is None else moved[rows]
            for rows, moved in ((find(part), moved) for part, moved in self._parts)
        ]
        rows = np.concatenate(found)
        return rows[rows >= 0]


#: Gives a title's texts as a whole, and its words.
_Forms = Callable[[str], tuple[frozenset[str], frozenset[str]]]


def _forms(title: str) -> tuple[frozenset[str], frozenset[str]]:
    tokens = [_tokens(variant) for variant in title_variants(title)]
    whole = frozenset(text for words in tokens for text in _whole(words))
    return whole, frozenset(word for words in tokens for word in _index_words(words))


#: For titles that are indexed again after each change of another one.
_remembered_forms = lru_cache(_REMEMBERED_TITLES)(_forms)


def _indexed(
    catalogue: Catalogue, rows: Iterable[int], forms: _Forms = _forms
) -> tuple[_Texts, _Texts]:
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
    return _Texts([(_SortedTexts(titles), None)]), _Texts([(_SortedTexts(words), None)])


class _SortedTexts:
    """Texts in order, each with the rows of the movies that have it."""

    def __init__(self, texts: Iterable[tuple[str, int]]) -> None:
        pairs = sorted(set(texts))
        self._rows = np.array([row for _, row in pairs], dtype=np.int64)
        self._texts: list[str] = []
        starts: list[int] = []
        for place, (text, _) in enumerate(pairs):
            if not self._texts or self._texts[-1] != text:
                self._texts.append(text)
                starts.append(place)
        self._starts = [*starts, len(pairs)]
        self._by_length = self._order_by_length()

    def _order_by_length(self) -> tuple[Ints, Ints, np.ndarray]:
        """Return the places by length, where each length begins, and the sets of letters.

        For the search with typing errors.
        """
        lengths = np.array([len(text) for text in self._texts], dtype=np.int64)
        order = np.argsort(lengths, kind="stable")
        first_of_length = np.searchsorted(lengths[order], np.arange(lengths.max(initial=0) + 2))
        letters = np.array([_letter_bits(text) for text in self._texts], dtype=np.uint64)
        return order, first_of_length, letters[order]

    def equal(self, texts: Iterable[str]) -> Ints:
        """Return the rows with any of the texts."""
        return self._rows_between((text, text + "\0") for text in texts)

    def with_prefix(self, prefixes: Iterable[str]) -> Ints:
        """Return the rows with a text that begins with any of the prefixes.

        A number matches only itself: "2" does not match "2001".
        """
        return self._rows_between(
            (prefix, prefix + ("\0" if prefix.isdigit() else "\U0010ffff")) for prefix in prefixes
        )

    def similar(self, texts: Iterable[str]) -> Ints:
        """Return the rows with a text that differs from one of these by few typing errors."""
        places = [place for text in texts for place in self._similar_texts(text)]
        slices = [self._rows[self._starts[p] : self._starts[p + 1]] for p in places]
        return np.concatenate(slices) if slices else np.zeros(0, dtype=np.int64)

    def _similar_texts(self, text: str) -> Iterable[int]:
        """Yield the places of the texts that differ from this one by few typing errors."""
        errors = allowed_errors(text)
        if not errors:
            return
        by_length, first_of_length, letters = self._by_length
        longest = len(first_of_length) - 2
        shortest = min(max(len(text) - errors, 0), longest)
        start = first_of_length[shortest]
        end = first_of_length[min(len(text) + errors, longest) + 1]
        # One typing error changes at most two members of the set of letters.
        differing = np.bitwise_count(letters[start:end] ^ np.uint64(_letter_bits(text)))
        for place in by_length[start:end][differing <= 2 * errors].tolist():
            candidate = self._texts[place]
            if OSA.distance(text, candidate, score_cutoff=errors) <= errors:
                yield place

    def _rows_between(self, bounds: Iterable[tuple[str, str]]) -> Ints:
        slices = []
        for first, last in bounds:
            start, end = bisect_left(self._texts, first), bisect_left(self._texts, last)
            slices.append(self._rows[self._starts[start] : self._starts[end]])
        return np.concatenate(slices) if slices else np.zeros(0, dtype=np.int64)


def _improve(fits: np.ndarray, rows: Ints, fit: int) -> None:
    """Lower the entries of ``rows`` in ``fits`` to ``fit`` where they are higher."""
    fits[rows] = np.minimum(fits[rows], fit)


def _letter_bits(text: str) -> int:
    """Return a number with one bit, of 64, set for every letter of a text."""
    bits = 0
    for letter in text:
        bits |= 1 << (ord(letter) & 63)
    return bits


def allowed_errors(text: str) -> int:
    """Return how many typing errors a text may have: none in short ones and in numbers."""
    if text.isdigit():
        return 0
    return next((errors for letters, errors in _ALLOWED_ERRORS if len(text) >= letters), 0)


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
