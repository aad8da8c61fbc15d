"""Sorted texts, each with the movies that have it, for the search by title."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import OSA

from moovier.data.ratings import Ints

#: Minimum length of a text, and the typing errors allowed in it; longest first.
_ALLOWED_ERRORS = ((8, 2), (4, 1))
#: Number of texts from which arrays hold them. Python's strings are twice as fast to search, but
#: each takes some 70 bytes, in every process.
LARGE = 50_000
#: Of the texts in arrays, every 64th is a string as well, which makes the search faster.
_SAMPLED = 64


class MovieTexts:
    """Texts in several parts, each with the rows of the movies that have it."""

    def __init__(self, parts: Sequence[tuple[SortedTexts, Ints | None]]) -> None:
        """Keep parts, each with the final row of each of its rows; None: they are final."""
        self._parts = tuple(parts)

    def __add__(self, other: MovieTexts) -> MovieTexts:
        return MovieTexts((*self._parts, *other._parts))

    def moved(self, rows: Ints) -> MovieTexts:
        """Return the texts with each row r replaced by ``rows[r]``; those with -1 are left out."""
        return MovieTexts(
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

    def _rows(self, find: Callable[[SortedTexts], Ints]) -> Ints:
        found = [
            rows if moved is None else moved[rows]
            for rows, moved in ((find(part), moved) for part, moved in self._parts)
        ]
        rows = np.concatenate(found)
        return rows[rows >= 0]


class PackedTexts(Sequence[str]):
    """Sorted texts one after the other in UTF-8.

    ``content``: the bytes. ``offsets``: (n + 1,) where each text starts.
    """

    def __init__(self, content: NDArray[np.uint8], offsets: Ints) -> None:
        self._content, self._offsets = content.data, offsets.data
        self._samples = [self[place] for place in range(0, len(self), _SAMPLED)]

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        return str(self._content[self._offsets[place] : self._offsets[place + 1]], "utf-8")

    def place_of(self, text: str) -> int:
        """Return the place of the first text that is not before this one."""
        # Making the texts to compare takes most of the time; samples need not be made.
        end = bisect_left(self._samples, text) * _SAMPLED
        return bisect_left(self, text, max(end - _SAMPLED, 0), min(end, len(self)))


class SortedTexts:
    """Texts in order, each with the rows of the movies that have it."""

    def __init__(
        self, texts: Sequence[str], starts: Sequence[int], arrays: Mapping[str, NDArray[Any]]
    ) -> None:
        """Keep n sorted texts.

        ``starts``: (n + 1,) where the rows of each text begin in the array ``rows``. The other
        arrays, for the search with typing errors: ``by_length``, the places by length;
        ``first_of_length``, where each length begins there; ``letters``, the sets of letters in
        this order.
        """
        self._texts, self._starts, self._arrays = texts, starts, arrays
        self._place_of: Callable[[str], int] = (
            texts.place_of if isinstance(texts, PackedTexts) else partial(bisect_left, texts)
        )
        self._rows = arrays["rows"]
        self._by_length = arrays["by_length"], arrays["first_of_length"], arrays["letters"]

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, int]]) -> SortedTexts:
        """Sort texts and rows, given in any order."""
        ordered = sorted(set(pairs))
        texts: list[str] = []
        starts: list[int] = []
        for place, (text, _) in enumerate(ordered):
            if not texts or texts[-1] != text:
                texts.append(text)
                starts.append(place)
        lengths = np.array([len(text) for text in texts], dtype=np.int64)
        by_length = np.argsort(lengths, kind="stable")
        letters = np.array([_letter_bits(text) for text in texts], dtype=np.uint64)
        first_of_length = np.searchsorted(lengths[by_length], np.arange(lengths.max(initial=0) + 2))
        arrays = {
            "rows": np.array([row for _, row in ordered], dtype=np.int64),
            "by_length": by_length,
            "first_of_length": first_of_length,
            "letters": letters[by_length],
        }
        made = cls(texts, [*starts, len(ordered)], arrays)
        return made if len(texts) < LARGE else cls.from_arrays(made.to_arrays())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays."""
        encoded = [text.encode() for text in self._texts]
        offsets = np.cumsum([0, *map(len, encoded)])
        return {
            **self._arrays,
            "starts": np.array(self._starts, dtype=np.int32),
            "offsets": offsets.astype(np.int32),
            "content": np.frombuffer(b"".join(encoded), dtype=np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> SortedTexts:
        """Return what :meth:`to_arrays` returned as arrays, without a copy.

        Raises:
            KeyError: an array is missing.
        """
        texts = PackedTexts(arrays["content"], arrays["offsets"])
        return cls(texts, arrays["starts"].data, arrays)

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
            start, end = self._place_of(first), self._place_of(last)
            slices.append(self._rows[self._starts[start] : self._starts[end]])
        return np.concatenate(slices) if slices else np.zeros(0, dtype=np.int64)


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
