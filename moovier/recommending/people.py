"""Lists for a person, whoever it is: filtered, in pages, with reasons.

A person is what they rated: a user the model knows, one who rated since it was trained, or somebody
whose ratings came with the request. All are served by the same scores, none needs a training.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from moovier.data.arrays import Floats, History, Ints
from moovier.data.catalogue import Movie
from moovier.models.bundle import Bundle
from moovier.models.family import Scorer
from moovier.models.top import top_rows
from moovier.recommending.facets import Facets, Filter
from moovier.recommending.search import Titles

#: People whose scores are kept, those asked for last: some 10 MB on ml-latest-small.
_KEPT = 256
#: Rated movies named as reasons for one, at most, and the least share of the greatest that counts.
MOST_REASONS, LEAST_SHARE = 3, 0.25
#: Stars from which on a rating is a liking; somebody who gives fewer likes what is above average.
LIKED = 3.5
_EMPTY = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))

Source = Literal["model", "similar", "popular"]


class Rated(NamedTuple):
    """One rating by MovieLens id; ``timestamp`` in Unix seconds."""

    movie_id: int
    stars: float
    timestamp: int


@dataclass(frozen=True)
class Person:
    """``history``: over a model's rows. ``row``: of a user whom the model knows exactly so, else
    None. ``key``: the same for the same history."""

    history: History
    row: int | None
    key: int | bytes


@dataclass(frozen=True)
class Item:
    """``score`` orders the movies of one person. ``because``: liked movies that weigh most."""

    movie: Movie
    score: float
    source: Source
    because: tuple[Movie, ...] = ()


@dataclass(frozen=True)
class Page:
    """``items``: best first. ``more``: whether others pass the filter, too."""

    items: tuple[Item, ...]
    more: bool
    ids: Ints = field(repr=False)


class People:
    """One model's people: never changes, safe to share between threads."""

    def __init__(self, bundle: Bundle, scorer: Scorer) -> None:
        self._bundle = bundle
        self._scorer = scorer
        self._lock = threading.Lock()
        self._kept: OrderedDict[int | bytes, Floats] = OrderedDict()
        counts = bundle.histories.movie_counts()
        #: Ratings of each movie, (n_movies,).
        self.counts: Ints = counts
        #: Share of the most rated movie's ratings, (n_movies,).
        self.popularity: Floats = (counts / max(int(counts.max(initial=1)), 1)).astype(np.float32)

    @cached_property
    def facets(self) -> Facets:
        return Facets(self._bundle.catalogue)

    @cached_property
    def titles(self) -> Titles:
        return Titles(self._bundle.catalogue, self.counts)

    def mean_stars(self, row: int) -> float | None:
        """What people gave a movie on average, to a hundredth; None where nobody rated it."""
        return (
            round(float(self._sums[row]) / int(self.counts[row]), 2) if self.counts[row] else None
        )

    @cached_property
    def _sums(self) -> Floats:
        histories = self._bundle.histories
        return np.bincount(histories.movies, histories.stars, self.popularity.size).astype(
            np.float32
        )

    def stranger(self, ratings: Iterable[Rated]) -> Person:
        """Somebody who is no more than these ratings, in any order; movies that the model does not
        know are left out."""
        history = self._history(_EMPTY, ratings, ())
        return Person(history, None, _digest(history))

    def user(
        self,
        user_id: int,
        ratings: Sequence[Rated] = (),
        deleted: Collection[int] = (),
        deleted_before: int = 0,
    ) -> Person:
        """A user by MovieLens id, known or not, with what they rated since the model was trained.

        ``deleted``: movie ids that no longer count, unless they are among ``ratings``;
        ``deleted_before``: moment (Unix seconds) up to which none of the model's own counts.
        """
        row = int(self._bundle.index.user_rows(np.array([user_id]))[0])
        history = _EMPTY if row < 0 else self._bundle.histories[row]
        if not ratings and not deleted and not deleted_before:
            return Person(history, None if row < 0 else row, row)
        if deleted_before:
            history = _take(history, history.timestamps > deleted_before)
        history = self._history(history, ratings, deleted)
        return Person(history, None, _digest(history))

    def page(
        self, person: Person, wanted: Filter, *, exclude: Ints, top_k: int, reasons: bool = True
    ) -> Page:
        """The best ``top_k`` that pass, without what the person rated and without ``exclude``
        (MovieLens ids).

        Raises:
            BadRequest: the filter makes no sense.
        """
        known = len(person.history) > 0
        scores = self.scores(person).copy()
        scores[person.history.movies] = -np.inf
        rows, more = self._best(scores, wanted, exclude, top_k)
        because: Sequence[tuple[Movie, ...]] = [()] * rows.size
        if known and reasons and rows.size:
            because = self._because(person.history, rows)
        return self._page(rows, scores, more, "model" if known else "popular", because)

    def popular(self, wanted: Filter, *, exclude: Ints, top_k: int) -> Page:
        """What most people rated."""
        scores = self.popularity.copy()
        rows, more = self._best(scores, wanted, exclude, top_k)
        return self._page(rows, scores, more, "popular", [()] * rows.size)

    def similar(self, movie_row: int, wanted: Filter, *, exclude: Ints, top_k: int) -> Page:
        """What the model would give somebody who rated this movie alone, and rated it high."""
        newest = int(self._bundle.histories.timestamps.max(initial=0))
        history = History(
            np.array([movie_row]), np.array([5.0], np.float32), np.array([newest], np.int64)
        )
        scores = self.scores(Person(history, None, _digest(history))).copy()
        scores[movie_row] = -np.inf
        rows, more = self._best(scores, wanted, exclude, top_k)
        because = [(self._bundle.catalogue[movie_row],)] * rows.size
        return self._page(rows, scores, more, "similar", because)

    def scores(self, person: Person) -> Floats:
        """Of the whole catalogue, (n_movies,); not to be written to."""
        if not len(person.history):
            return self.popularity
        with self._lock:
            kept = self._kept.get(person.key)
            if kept is not None:
                self._kept.move_to_end(person.key)
                return kept
        if person.row is None:
            scores = self._scorer.fold_in(person.history)
        else:
            rows = np.array([person.row], dtype=np.int64)
            scores = self._scorer.score(rows, self._bundle.histories)[0].copy()
        with self._lock:
            self._kept[person.key] = scores
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return scores

    def _best(self, scores: Floats, wanted: Filter, exclude: Ints, top_k: int) -> tuple[Ints, bool]:
        """Rows of the best that pass, and whether there are more. ``scores`` is altered."""
        if not wanted.passes_all:
            scores[~self.facets.mask(wanted)] = -np.inf
        if exclude.size:
            rows = self._bundle.index.movie_rows(exclude)
            scores[rows[rows >= 0]] = -np.inf
        rows = top_rows(scores, top_k + 1)
        return rows[:top_k], rows.size > top_k

    def _because(self, history: History, rows: Ints) -> list[tuple[Movie, ...]]:
        liked = np.flatnonzero(history.stars >= min(LIKED, float(history.stars.mean())))
        parts = self._scorer.because(history, rows)[:, liked]
        order = np.argsort(-parts, axis=1, kind="stable")[:, :MOST_REASONS]
        found = []
        for places, weights in zip(order.tolist(), parts, strict=True):
            least = max(LEAST_SHARE * float(weights[places[0]]), 1e-9) if places else 0.0
            movies = [int(history.movies[liked[p]]) for p in places if weights[p] >= least]
            found.append(tuple(self._bundle.catalogue[movie] for movie in movies))
        return found

    def _page(
        self,
        rows: Ints,
        scores: Floats,
        more: bool,
        source: Source,
        because: Sequence[tuple[Movie, ...]],
    ) -> Page:
        catalogue = self._bundle.catalogue
        items = tuple(
            Item(catalogue[row], score, source, reasons)
            for row, score, reasons in zip(
                rows.tolist(), scores[rows].tolist(), because, strict=True
            )
        )
        return Page(items, more, self._bundle.index.movies[rows])

    def _history(
        self, known: History, ratings: Iterable[Rated], deleted: Collection[int]
    ) -> History:
        """``known`` without what was deleted or rated again, and the ratings, oldest first."""
        newest = {one.movie_id: one for one in sorted(ratings, key=lambda one: one.timestamp)}
        ids = np.array(list(newest), dtype=np.int64)
        rows = self._bundle.index.movie_rows(ids)
        there = rows >= 0
        gone = self._bundle.index.movie_rows(np.array([*newest, *deleted], dtype=np.int64))
        rest = known if not len(known) else _take(known, ~np.isin(known.movies, gone))
        values = list(newest.values())
        stars = np.array([one.stars for one in values], dtype=np.float32)
        moments = np.array([one.timestamp for one in values], dtype=np.int64)
        movies = np.concatenate([rest.movies, rows[there]])
        all_stars = np.concatenate([rest.stars, stars[there]]).astype(np.float32)
        timestamps = np.concatenate([rest.timestamps, moments[there]]).astype(np.int64)
        order = np.argsort(timestamps, kind="stable")
        return History(movies[order].astype(np.int64), all_stars[order], timestamps[order])


def _take(history: History, rows: np.ndarray) -> History:
    return History(history.movies[rows], history.stars[rows], history.timestamps[rows])


def _digest(history: History) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for values in (history.movies, history.stars, history.timestamps):
        content.update(values.tobytes())
    return content.digest()
