"""Lists for a person, whoever it is: filtered, in pages, with reasons.

A person is what they rated: a user the model knows, one who rated since it was trained, or somebody
whose ratings came with the request. All are served by the same scores, none needs a training.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from moovier.data.catalogue import Movie
from moovier.data.ratings import Floats, History, Ints
from moovier.models.bundle import Bundle
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows
from moovier.serving.filters import Filter, FilterIndex
from moovier.serving.popularity import Popularity
from moovier.serving.title_search import Titles

#: People whose scores are kept, those asked for last: some 10 MB on ml-latest-small.
_KEPT = 256
#: Rated movies named as reasons for one, at most, and the least share of the greatest that counts.
MOST_REASONS, LEAST_SHARE = 3, 0.25
#: Stars from which on a rating is a liking.
LIKED = 3.5
#: Stars that are a liking, too, where they are above the person's average. Fewer never are.
LIKED_BY_CRITICS = 3.0
_EMPTY = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))

_NO_ROWS = np.zeros(0, np.int64)

Source = Literal["model", "similar", "popular"]


@runtime_checkable
class RowScorer(Protocol):
    """A scorer that can score some movies alone."""

    def fold_in_rows(self, history: History, movies: Ints) -> Floats:
        """Return ``fold_in(history)[movies]``, (len(movies),)."""


class RatedMovie(NamedTuple):
    """One rating by MovieLens id; ``timestamp`` in Unix seconds."""

    movie_id: int
    stars: float
    timestamp: int


@dataclass(frozen=True)
class UserProfile:
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
    """Movies of one page, best first.

    ``more``: whether other movies pass the filter, too. ``ids``: MovieLens ids of the items.
    ``days``: the window of a list of popular movies, in days; None means all time, or another
    kind of list.
    """

    items: tuple[Item, ...]
    more: bool
    ids: Ints = field(repr=False)
    days: int | None = None


class UserRecommender:
    """One model's people: never changes, safe to share between threads."""

    def __init__(self, bundle: Bundle, scorer: Scorer, popular_days: int | None = None) -> None:
        """``popular_days``: window of popularity where none is asked for; None means all time."""
        self._bundle = bundle
        self._scorer = scorer
        self._row_scorer = scorer if isinstance(scorer, RowScorer) else None
        self._lock = threading.Lock()
        self._kept: OrderedDict[int | bytes, Floats] = OrderedDict()
        self.popularity = Popularity(bundle.histories, popular_days)
        #: Ratings of each movie, (n_movies,).
        self.counts: Ints = self.popularity.counts
        movie_ids = bundle.index.movies
        self._row_of: dict[int, int] = dict(
            zip(movie_ids.tolist(), range(movie_ids.size), strict=True)
        )
        self._catalogue_key = hashlib.blake2b(movie_ids.tobytes(), digest_size=16).digest()

    @cached_property
    def facets(self) -> FilterIndex:
        return FilterIndex(self._bundle.catalogue)

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
        return np.bincount(histories.movies, histories.stars, self.counts.size).astype(np.float32)

    def same_catalogue(self, other: UserRecommender) -> bool:
        """Return whether both have the same movies in the same rows, so share a stranger."""
        return self._catalogue_key == other._catalogue_key

    def anonymous(self, ratings: Iterable[RatedMovie]) -> UserProfile:
        """Return somebody of whom only these ratings are known; their order means nothing.

        Movies that the model does not know are left out. Of two ratings of one movie the newer
        counts, of two of one moment the later in the list.
        """
        history = self._history(_EMPTY, ratings, ())
        return UserProfile(history, None, _digest(history))

    def user(
        self,
        user_id: int,
        ratings: Sequence[RatedMovie] = (),
        deleted: Collection[int] = (),
        deleted_before: int = 0,
    ) -> UserProfile:
        """A user by MovieLens id, known or not, with what they rated since the model was trained.

        ``deleted``: movie ids that no longer count, unless they are among ``ratings``;
        ``deleted_before``: moment (Unix seconds) up to which none of the model's own counts.
        """
        row = int(self._bundle.index.user_rows(np.array([user_id]))[0])
        history = _EMPTY if row < 0 else self._bundle.histories[row]
        if not ratings and not deleted and not deleted_before:
            return UserProfile(history, None if row < 0 else row, row)
        if deleted_before:
            history = _take(history, history.timestamps > deleted_before)
        history = self._history(history, ratings, deleted)
        return UserProfile(history, None, _digest(history))

    def page(
        self,
        person: UserProfile,
        wanted: Filter,
        *,
        exclude: Ints,
        top_k: int,
        reasons: bool = True,
    ) -> Page:
        """The best ``top_k`` that pass, without what the person rated and without ``exclude``
        (MovieLens ids).

        Raises:
            BadRequest: the filter makes no sense.
        """
        known = len(person.history) > 0
        scores, rows, more = self._best(
            self.scores(person), person.history.movies, wanted, exclude, top_k
        )
        because: Sequence[tuple[Movie, ...]] = [()] * rows.size
        if known and reasons and rows.size:
            because = self._because(person.history, rows)
        page = self._page(rows, scores, more, "model" if known else "popular", because)
        return page if known else replace(page, days=self.popularity.default_days)

    def popular(
        self, wanted: Filter, *, exclude: Ints, top_k: int, days: int | None = None
    ) -> Page:
        """Return the movies with the most ratings, those of the last ``days`` days first.

        ``days``: counted back from the newest rating; by default the model's own window. Where
        too few movies were rated in it, others follow by their ratings of all time.

        Raises:
            BadRequest: the filter makes no sense.
        """
        days = self.popularity.default_days if days is None else days
        scores, rows, more = self._best(
            self.popularity.scores(days), _NO_ROWS, wanted, exclude, top_k
        )
        page = self._page(rows, scores, more, "popular", [()] * rows.size)
        return replace(page, days=days)

    def similar(self, movie_row: int, wanted: Filter, *, exclude: Ints, top_k: int) -> Page:
        """What the model would give somebody who rated this movie alone, and rated it high."""
        newest = int(self._bundle.histories.timestamps.max(initial=0))
        history = History(
            np.array([movie_row]), np.array([5.0], np.float32), np.array([newest], np.int64)
        )
        person = UserProfile(history, None, _digest(history))
        scores, rows, more = self._best(self.scores(person), history.movies, wanted, exclude, top_k)
        because = [(self._bundle.catalogue[movie_row],)] * rows.size
        return self._page(rows, scores, more, "similar", because)

    def scores(self, person: UserProfile) -> Floats:
        """Of the whole catalogue, (n_movies,); not to be written to."""
        if not len(person.history):
            return self.popularity.default()
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

    def scores_of(self, person: UserProfile, rows: Ints) -> Floats:
        """Return :meth:`scores` of some movies, (len(rows),); ``rows``: movie rows.

        A scorer with a method ``fold_in_rows(history, movies)`` computes no more than these.
        """
        if person.row is None and len(person.history) and self._row_scorer is not None:
            return self._row_scorer.fold_in_rows(person.history, rows)
        return self.scores(person)[rows]

    def _best(
        self, scores: Floats, rated: Ints, wanted: Filter, exclude: Ints, top_k: int
    ) -> tuple[Floats, Ints, bool]:
        """Return the scores, -inf for what may not be shown, the best rows, and if there are more.

        ``scores`` is not altered. ``rated``: movie rows, ``exclude``: MovieLens ids.
        """
        scores = scores.copy() if wanted.is_empty else scores + self.facets.penalty(wanted)
        scores[rated] = -np.inf
        if exclude.size:
            scores[self._known_rows(exclude)] = -np.inf
        rows = top_rows(scores, top_k + 1)
        return scores, rows[:top_k], rows.size > top_k

    def _known_rows(self, movie_ids: Ints) -> Ints:
        """Return the rows of those movies that the model knows."""
        found = (self._row_of.get(movie_id) for movie_id in movie_ids.tolist())
        return np.array([row for row in found if row is not None], dtype=np.int64)

    def _because(self, history: History, rows: Ints) -> list[tuple[Movie, ...]]:
        """Return the liked movies that raise each score most, greatest first."""
        catalogue = self._bundle.catalogue
        liked = np.flatnonzero(_likes(history.stars))
        if not liked.size:
            return [()] * rows.size
        parts = self._scorer.explain(history, rows)[:, liked]
        order = np.argsort(-parts, axis=1, kind="stable")[:, :MOST_REASONS]
        weights = np.take_along_axis(parts, order, axis=1)
        movies = history.movies[liked][order].tolist()
        found = []
        for row_movies, row_weights in zip(movies, weights.tolist(), strict=True):
            least = max(LEAST_SHARE * row_weights[0], 1e-9)
            found.append(
                tuple(
                    catalogue[movie]
                    for movie, weight in zip(row_movies, row_weights, strict=True)
                    if weight >= least
                )
            )
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
        self, known: History, ratings: Iterable[RatedMovie], deleted: Collection[int]
    ) -> History:
        """Return ``known`` without what was deleted or rated again, plus the ratings.

        Oldest first; ratings of one moment stand by movie row, so that the order in which they
        were given changes nothing.
        """
        newest = {one.movie_id: one for one in sorted(ratings, key=_moment)}
        row_of = self._row_of
        given = sorted(
            (one.timestamp, row_of[movie_id], one.stars)
            for movie_id, one in newest.items()
            if movie_id in row_of
        )
        moments, movies, stars = zip(*given, strict=True) if given else ((), (), ())
        added = History(
            np.array(movies, dtype=np.int64),
            np.array(stars, dtype=np.float32),
            np.array(moments, dtype=np.int64),
        )
        if not len(known):
            return added
        gone = self._known_rows(np.array([*newest, *deleted], dtype=np.int64))
        rest = _take(known, ~np.isin(known.movies, gone))
        both = History(
            np.concatenate([rest.movies, added.movies]),
            np.concatenate([rest.stars, added.stars]),
            np.concatenate([rest.timestamps, added.timestamps]),
        )
        return _take(both, np.lexsort((both.movies, both.timestamps)))


def _moment(rating: RatedMovie) -> int:
    return rating.timestamp


def _likes(stars: Floats) -> np.ndarray:
    """Return which ratings are a liking, (k,): many stars, or above a strict person's average."""
    above = (stars >= LIKED_BY_CRITICS) & (stars > stars.mean())
    return np.asarray((stars >= LIKED) | above)


def _take(history: History, rows: np.ndarray) -> History:
    return History(history.movies[rows], history.stars[rows], history.timestamps[rows])


def _digest(history: History) -> bytes:
    content = hashlib.blake2b(digest_size=16)
    for values in (history.movies, history.stars, history.timestamps):
        content.update(values.tobytes())
    return content.digest()
