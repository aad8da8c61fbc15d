"""Match movies of another service with the catalogue: by id, else by title and year.

Each match has a confidence, a share of right matches that the kind of match had on titles of the
catalogue that were varied as other services vary them (tests/unit/serving/test_title_matching.py).
From ``SURE`` on a rating is imported without a question.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rapidfuzz.distance import OSA

from moovier.data.catalogue import Catalogue
from moovier.data.rating_files import Entry
from moovier.data.ratings import Ints
from moovier.serving.sorted_texts import allowed_errors
from moovier.serving.title_search import title_variants, title_words, whole_titles

How = Literal["id", "title", "subtitle", "spelling", "words", "none"]
#: From this confidence on a match needs no question.
SURE = 0.75
_MAX_SUGGESTIONS = 3
#: Confidence by kind of match, where the years are equal.
_BASE: dict[How, float] = {"title": 0.99, "subtitle": 0.93, "spelling": 0.9, "words": 0.8}
#: Taken off for a year that differs by one, that one side lacks, or that differs by more.
_YEAR_OFF_BY_ONE, _YEAR_MISSING, _YEAR_DIFFERS = 0.04, 0.1, 0.4
#: Taken off if another movie fits nearly as well: by less than ``_CLOSE``.
_AMBIGUOUS, _CLOSE = 0.3, 0.03
_SUBTITLE = re.compile(r"\s*(?::|\s[-–—]\s|;|\sor:?\s|\()\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Match:
    """The movie of an entry.

    ``row``: of the catalogue, or None if nothing fits. ``confidence``: 0 to 1. ``others``: rows of
    further movies that may be meant, best first.
    """

    row: int | None
    confidence: float
    how: How
    others: tuple[int, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether the match needs no question."""
        return self.row is not None and self.confidence >= SURE


@dataclass(frozen=True, slots=True)
class _Candidate:
    row: int
    confidence: float
    how: How


class TitleMatcher:
    """A catalogue by ids, titles and years. Immutable and safe to share between threads."""

    def __init__(self, catalogue: Catalogue, popularity: Ints) -> None:
        """Index a catalogue; ``popularity``, (n_movies,), decides between equal fits."""
        self._catalogue = catalogue
        self._popularity = popularity
        self._by_id: dict[str | int | tuple[str, int], int] = {}
        self._whole: dict[str, set[int]] = defaultdict(set)
        self._main: dict[str, set[int]] = defaultdict(set)
        self._by_year: dict[int | None, list[tuple[frozenset[str], int]]] = defaultdict(list)
        self._texts_by_year: dict[int | None, list[tuple[str, int]]] = defaultdict(list)
        for row, movie in enumerate(catalogue):
            self._by_id[movie.id] = row
            if movie.imdb_id is not None:
                self._by_id[movie.imdb_id] = row
            if movie.tmdb_id is not None:
                self._by_id["tmdb", movie.tmdb_id] = row
            for title in title_variants(movie.title):
                words = title_words(title)
                self._by_year[movie.year].append((frozenset(words), row))
                for text in whole_titles(title):
                    self._whole[text].add(row)
                    self._texts_by_year[movie.year].append((text, row))
                for text in _main_parts(title):
                    self._main[text].add(row)

    def match(self, entry: Entry) -> Match:
        """Return the best match of an entry."""
        row = self._row_of_id(entry)
        if row is not None:
            return Match(row, 1.0, "id")
        if not entry.title:
            return Match(None, 0.0, "none")
        found: dict[int, _Candidate] = {}
        for candidate in self._candidates(entry):
            before = found.get(candidate.row)
            if before is None or candidate.confidence > before.confidence:
                found[candidate.row] = candidate
        ranked = sorted(found.values(), key=self._rank)
        if not ranked:
            return Match(None, 0.0, "none")
        best, others = ranked[0], ranked[1 : 1 + _MAX_SUGGESTIONS]
        is_ambiguous = bool(others) and best.confidence - others[0].confidence < _CLOSE
        confidence = best.confidence - (_AMBIGUOUS if is_ambiguous else 0)
        if _has_foreign_id(entry):
            # The file names a movie by an id that the catalogue lacks: only an equal title and year
            # show that it is in the catalogue without its id.
            confidence = min(confidence, 0.97) if best.confidence >= _BASE["title"] else 0.5
        return Match(
            best.row, round(max(confidence, 0.0), 2), best.how, tuple(item.row for item in others)
        )

    def _row_of_id(self, entry: Entry) -> int | None:
        keys: list[str | int | tuple[str, int] | None] = [entry.movielens_id, entry.imdb_id]
        if entry.tmdb_id is not None:
            keys.append(("tmdb", entry.tmdb_id))
        rows = (self._by_id.get(key) for key in keys if key is not None)
        return next((row for row in rows if row is not None), None)

    def _rank(self, candidate: _Candidate) -> tuple[float, int, int]:
        return -candidate.confidence, -int(self._popularity[candidate.row]), candidate.row

    def _candidates(self, entry: Entry) -> Iterator[_Candidate]:
        titles = title_variants(entry.title)
        whole = {text for title in titles for text in whole_titles(title)}
        same = self._rows(self._whole, whole)
        yield from self._rated(same, entry, "title")
        if any(self._catalogue[row].year == entry.year for row in same):
            return
        main = {text for title in titles for text in _main_parts(title)}
        shortened = self._rows(self._main, whole) | self._rows(self._whole, main)
        yield from self._rated(shortened, entry, "subtitle")
        if entry.year is None or any(self._years_fit(row, entry) for row in same | shortened):
            return
        yield from self._rated(self._spelt_alike(whole, entry.year), entry, "spelling")
        words = {frozenset(title_words(title)) for title in titles}
        yield from self._rated(self._sharing_words(words, entry.year), entry, "words")

    def _rated(self, rows: Iterable[int], entry: Entry, how: How) -> Iterator[_Candidate]:
        for row in rows:
            year = self._catalogue[row].year
            loss = _YEAR_DIFFERS
            if entry.year is None or year is None:
                loss = _YEAR_MISSING
            elif abs(entry.year - year) <= 1:
                loss = _YEAR_OFF_BY_ONE * abs(entry.year - year)
            yield _Candidate(row, round(_BASE[how] - loss, 2), how)

    def _years_fit(self, row: int, entry: Entry) -> bool:
        year = self._catalogue[row].year
        return entry.year is not None and year is not None and abs(entry.year - year) <= 1

    def _rows(self, index: dict[str, set[int]], texts: Iterable[str]) -> set[int]:
        return {row for text in texts for row in index.get(text, ())}

    def _spelt_alike(self, texts: Iterable[str], year: int) -> set[int]:
        """Return the rows of neighbouring years whose title differs by few typing errors."""
        return {
            row
            for near in (year - 1, year, year + 1)
            for known, row in self._texts_by_year.get(near, ())
            for text in texts
            # By the shorter one: "Herc" is not "Her".
            if (errors := allowed_errors(min(text, known, key=len)))
            and abs(len(known) - len(text)) <= errors
            and OSA.distance(text, known, score_cutoff=errors) <= errors
        }

    def _sharing_words(self, queries: Iterable[frozenset[str]], year: int) -> set[int]:
        """Return the rows of the year with all words of the title, or the other way round."""
        return {
            row
            for known, row in self._by_year.get(year, ())
            for words in queries
            if min(len(known), len(words)) >= 2 and (words <= known or known <= words)
        }


def _has_foreign_id(entry: Entry) -> bool:
    return bool(entry.imdb_id or entry.tmdb_id or entry.movielens_id)


def _main_parts(title: str) -> set[str]:
    """Return the title before and after its subtitle's separators, as compared texts."""
    parts = _SUBTITLE.split(title)
    if len(parts) < 2:
        return set()
    starts = (" ".join(parts[:end]) for end in range(1, len(parts)))
    return {text for start in starts for text in whole_titles(start) if len(text) > 2}
