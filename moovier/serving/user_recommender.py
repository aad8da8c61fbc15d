"""Filtered and paged lists for one user or visitor, with reasons.

A user is represented by a rating history: that of a known user, of a user who rated movies since
the model was trained, or of a visitor whose ratings come with the request. Fold-in scores all of
them without a training.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Literal

import numpy as np
from cachetools import LRUCache

from moovier.data.catalogue import Movie
from moovier.data.id_rows import id_rows
from moovier.data.ratings import Floats, History, Ints
from moovier.feedback.ratings import NewRating
from moovier.models.bundle import Bundle
from moovier.models.family import RowScorer, Scorer
from moovier.models.top_k import top_rows
from moovier.serving import cache_sizes
from moovier.serving.filters import Filter, FilterIndex
from moovier.serving.new_places import NO_NEW_PLACES, NewPlaces
from moovier.serving.popularity import Popularity
from moovier.serving.reasons import strongest_reasons
from moovier.serving.title_files import indexed_titles
from moovier.serving.title_search import TitleIndex
from moovier.serving.user_profile import UserProfile, digest, take
from moovier.serving.variety import NO_VARIETY, Variety, VarietyIndex

#: Most profiles whose scores are in memory, the most recently used ones.
CACHED_PROFILES = 256
_EMPTY = History(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64))
_NO_ROWS = np.zeros(0, np.int64)

Source = Literal["model", "similar", "popular"]


@dataclass(frozen=True)
class Item:
    """A movie of a page.

    ``score`` orders the movies of one list. ``because`` holds the liked movies that raise the score
    most.
    """

    movie: Movie
    score: float
    source: Source
    because: tuple[Movie, ...] = ()


@dataclass(frozen=True)
class Page:
    """Movies of one page, best first.

    ``more`` says whether further movies pass the filter. ``ids`` are the MovieLens ids of the
    items. ``days`` is the window of a list of popular movies; None means all time, or another kind
    of list.
    """

    items: tuple[Item, ...]
    more: bool
    ids: Ints = field(repr=False)
    days: int | None = None


class UserRecommender:
    """Pages for the users and visitors of one model. Safe to share between threads."""

    def __init__(
        self,
        bundle: Bundle,
        scorer: Scorer,
        popular_days: int | None = None,
        new_places: NewPlaces = NO_NEW_PLACES,
    ) -> None:
        """Serve one bundle with a default window of popularity in days; None means all time.

        ``new_places`` are the places of personal lists for new movies.
        """
        self._bundle = bundle
        self.new_places = new_places
        self._scorer = scorer
        self._row_scorer = scorer if isinstance(scorer, RowScorer) else None
        self._lock = threading.Lock()
        cached = cache_sizes.entries(CACHED_PROFILES, 4 * scorer.n_movies)
        self._scores: LRUCache[int | bytes, Floats] = LRUCache(cached)
        self.popularity = Popularity(bundle.histories, popular_days)
        #: Number of ratings of each movie, (n_movies,).
        self.counts: Ints = self.popularity.counts
        movie_ids = bundle.index.movies
        self._row_of = id_rows(movie_ids)
        self._catalogue_key = hashlib.blake2b(movie_ids.tobytes(), digest_size=16).digest()

    @cached_property
    def filter_index(self) -> FilterIndex:
        """Return the genres and years of the catalogue."""
        return FilterIndex(self._bundle.catalogue)

    @cached_property
    def title_index(self) -> TitleIndex:
        """Return the searchable titles of the catalogue."""
        indexed = indexed_titles(self._bundle)
        return TitleIndex(self._bundle.catalogue, self.counts, indexed=indexed)

    @cached_property
    def variety_index(self) -> VarietyIndex:
        """Return the features by which lists are re-ranked."""
        return VarietyIndex(self._bundle.catalogue, self.counts)

    def mean_stars(self, row: int) -> float | None:
        """Return a movie's mean stars, rounded to 0.01; None if nobody gave it stars."""
        if not self.counts[row] or not self._bundle.card.data.stars:
            return None
        return round(float(self._star_sums[row]) / int(self.counts[row]), 2)

    @cached_property
    def _star_sums(self) -> Floats:
        return self._bundle.histories.star_sums().astype(np.float32)

    def same_catalogue(self, other: UserRecommender) -> bool:
        """Return whether both have the same movies in the same rows.

        Then a visitor's profile of one is valid for the other.
        """
        return self._catalogue_key == other._catalogue_key

    def anonymous(self, ratings: Iterable[NewRating]) -> UserProfile:
        """Return the profile of a visitor with these ratings, in any order.

        Ratings of unknown movies are ignored. Of two ratings of a movie the newer one counts; of
        two with the same timestamp, the later one in ``ratings``.
        """
        history = self._history(_EMPTY, ratings, ())
        return UserProfile(history, None, digest(history))

    def visitor(self, ratings: Iterable[tuple[int, float]], timestamp: int) -> UserProfile:
        """Return :meth:`anonymous` of movie ids and stars that all have one timestamp."""
        row_of = self._row_of.get
        stars_of = {row_of(movie): stars for movie, stars in ratings}
        stars_of.pop(None, None)
        rows = sorted(stars_of)
        history = History(
            np.array(rows, dtype=np.int64),
            np.array([stars_of[row] for row in rows], dtype=np.float32),
            np.full(len(rows), timestamp, dtype=np.int64),
        )
        return UserProfile(history, None, digest(history))

    def user(
        self,
        user_id: int,
        ratings: Sequence[NewRating] = (),
        deleted: Collection[int] = (),
        deleted_before: int = 0,
        implicit: Sequence[NewRating] = (),
        hidden: Collection[int] = (),
    ) -> UserProfile:
        """Return the profile of a user, known or not, with newer ratings and deletions.

        ``user_id`` and the ids in ``deleted`` are MovieLens ids. ``ratings`` were given since the
        model was trained. Movies in ``deleted`` no longer count, unless they are in ``ratings``.
        Ratings of the training data up to ``deleted_before`` (Unix seconds) no longer count.
        ``implicit``: ratings that events count as; those of rated movies do not count. ``hidden``:
        MovieLens ids of movies to leave out besides the rated ones.
        """
        row = int(self._bundle.index.user_rows(np.array([user_id]))[0])
        history = _EMPTY if row < 0 else self._bundle.histories[row]
        if ratings or deleted or deleted_before:
            if deleted_before:
                history = take(history, history.timestamps > deleted_before)
            history = self._history(history, ratings, deleted)
            profile = UserProfile(history, None, digest(history))
        else:
            profile = UserProfile(history, None if row < 0 else row, row)
        return self._with_events(profile, implicit, hidden)

    def _with_events(
        self, profile: UserProfile, implicit: Sequence[NewRating], hidden: Collection[int]
    ) -> UserProfile:
        """Return a profile of ratings with what the user's events say."""
        if not implicit and not hidden:
            return profile
        rated = profile.history.movies
        hidden_rows = self.known_rows(np.array([*hidden], dtype=np.int64))
        unlisted = np.union1d(rated, hidden_rows)
        rated_ids = set(self._bundle.index.movies[rated].tolist())
        added = [rating for rating in implicit if rating.movie_id not in rated_ids]
        if not added:
            return replace(profile, unlisted=unlisted)
        history = self._history(profile.history, added, ())
        if len(history) == len(profile.history):
            return replace(profile, unlisted=unlisted)
        return UserProfile(history, None, digest(history), unlisted)

    def page(
        self,
        profile: UserProfile,
        movie_filter: Filter,
        *,
        exclude: Ints,
        top_k: int,
        reasons: bool = True,
        variety: Variety = NO_VARIETY,
    ) -> Page:
        """Return the best ``top_k`` movies that pass the filter, re-ranked by ``variety``.

        Rated movies and ``exclude`` (MovieLens ids) are left out. Without ``reasons``, the items
        name none.

        Raises:
            BadRequest: the filter is invalid.
        """
        known = len(profile.history) > 0
        scores, rows, more = self._best(
            self.scores(profile),
            profile.left_out,
            movie_filter,
            exclude,
            variety.candidates(top_k),
        )
        if not variety.is_off:
            more = more or rows.size > top_k
            rows = self.variety_index.rerank(scores, rows, variety, top_k)
        if known and not self.new_places.is_empty:
            rows = self.new_places.placed(scores, rows)
        because: Sequence[tuple[Movie, ...]] = [()] * rows.size
        if known and reasons and rows.size:
            because = self.reasons(profile.history, rows)
        page = self._page(rows, scores, more, "model" if known else "popular", because)
        return page if known else replace(page, days=self.popularity.default_days)

    def popular(
        self, movie_filter: Filter, *, exclude: Ints, top_k: int, days: int | None = None
    ) -> Page:
        """Return the movies with the most ratings of the last ``days`` days.

        The days count back from the newest rating; None means the model's default window. Movies
        without ratings in the window follow by their ratings of all time.

        Raises:
            BadRequest: the filter is invalid.
        """
        days = self.popularity.default_days if days is None else days
        return self._counted(self.popularity.scores(days), movie_filter, exclude, top_k, days)

    def trending(self, movie_filter: Filter, *, exclude: Ints, top_k: int, days: int) -> Page:
        """Return the movies whose ratings of the last ``days`` days exceed their past most.

        Raises:
            BadRequest: the filter is invalid.
        """
        return self._counted(self.popularity.rising(days), movie_filter, exclude, top_k, days)

    def _counted(
        self, scores: Floats, movie_filter: Filter, exclude: Ints, top_k: int, days: int | None
    ) -> Page:
        """Return the page of a list that is the same for everybody."""
        scores, rows, more = self._best(scores, _NO_ROWS, movie_filter, exclude, top_k)
        return replace(self._page(rows, scores, more, "popular", [()] * rows.size), days=days)

    def similar(self, movie_row: int, movie_filter: Filter, *, exclude: Ints, top_k: int) -> Page:
        """Return the list of a visitor who gave this movie 5 stars and rated no other.

        Raises:
            BadRequest: the filter is invalid.
        """
        newest = self._bundle.histories.newest
        history = History(
            np.array([movie_row]), np.array([5.0], np.float32), np.array([newest], np.int64)
        )
        profile = UserProfile(history, None, digest(history))
        scores, rows, more = self._best(
            self.scores(profile), history.movies, movie_filter, exclude, top_k
        )
        because = [(self._bundle.catalogue[movie_row],)] * rows.size
        return self._page(rows, scores, more, "similar", because)

    def scores(self, profile: UserProfile) -> Floats:
        """Return the scores of the whole catalogue, (n_movies,); do not write to them."""
        if not len(profile.history):
            return self.popularity.default()
        with self._lock:
            cached = self._scores.get(profile.key)
        if cached is not None:
            return cached
        if profile.row is None:
            scores = self._scorer.fold_in(profile.history)
        else:
            rows = np.array([profile.row], dtype=np.int64)
            scores = self._scorer.score(rows, self._bundle.histories)[0].copy()
        with self._lock:
            self._scores[profile.key] = scores
        return scores

    def scores_of(self, profile: UserProfile, rows: Ints) -> Floats:
        """Return :meth:`scores` of the movies in ``rows``, (len(rows),).

        A scorer that is a :class:`RowScorer` scores only these movies.
        """
        if profile.row is None and len(profile.history) and self._row_scorer is not None:
            return self._row_scorer.fold_in_rows(profile.history, rows)
        return self.scores(profile)[rows]

    def _best(
        self, scores: Floats, rated: Ints, movie_filter: Filter, exclude: Ints, top_k: int
    ) -> tuple[Floats, Ints, bool]:
        """Return the masked scores, the best rows, and whether more rows pass.

        Masked scores are -inf for movies that must not be shown; ``scores`` stays unchanged.
        ``rated`` holds movie rows, ``exclude`` MovieLens ids.
        """
        scores = (
            scores.copy()
            if movie_filter.is_empty
            else scores + self.filter_index.penalty(movie_filter)
        )
        scores[rated] = -np.inf
        if exclude.size:
            scores[self.known_rows(exclude)] = -np.inf
        rows = top_rows(scores, top_k + 1)
        return scores, rows[:top_k], rows.size > top_k

    def rows_of(self, movie_ids: Ints) -> Ints:
        """Return the rows of a few movies, (n,); -1 for an unknown movie."""
        row_of = self._row_of.get
        return np.array([row_of(movie, -1) for movie in movie_ids.tolist()], dtype=np.int64)

    def known_rows(self, movie_ids: Ints) -> Ints:
        """Return the rows of the movies that the model knows."""
        rows = (self._row_of.get(movie_id) for movie_id in movie_ids.tolist())
        return np.array([row for row in rows if row is not None], dtype=np.int64)

    def reasons(self, history: History, rows: Ints) -> list[tuple[Movie, ...]]:
        """Return for each row the liked movies that raise its score most, largest first."""
        catalogue = self._bundle.catalogue.movies
        places = strongest_reasons(self._scorer, history, rows)
        return [
            tuple([catalogue[movie] for movie in history.movies[row].tolist()]) for row in places
        ]

    def _page(
        self,
        rows: Ints,
        scores: Floats,
        more: bool,
        source: Source,
        because: Sequence[tuple[Movie, ...]],
    ) -> Page:
        catalogue = self._bundle.catalogue.movies
        items = [
            Item(catalogue[row], score, source, reasons)
            for row, score, reasons in zip(
                rows.tolist(), scores[rows].tolist(), because, strict=True
            )
        ]
        return Page(tuple(items), more, self._bundle.index.movies[rows])

    def _history(
        self, known: History, ratings: Iterable[NewRating], deleted: Collection[int]
    ) -> History:
        """Return ``known`` without deleted and re-rated movies, plus the ratings, oldest first.

        Ratings with equal timestamps are ordered by movie row, so that the order of ``ratings``
        does not change the history.
        """
        newest = {
            rating.movie_id: rating for rating in sorted(ratings, key=attrgetter("timestamp"))
        }
        row_of = self._row_of.get
        columns = sorted(
            (rating.timestamp, row, rating.stars)
            for movie_id, rating in newest.items()
            if (row := row_of(movie_id)) is not None
        )
        timestamps, movies, stars = zip(*columns, strict=True) if columns else ((), (), ())
        added = History(
            np.array(movies, dtype=np.int64),
            np.array(stars, dtype=np.float32),
            np.array(timestamps, dtype=np.int64),
        )
        if not len(known):
            return added
        replaced = self.known_rows(np.array([*newest, *deleted], dtype=np.int64))
        rest = take(known, ~np.isin(known.movies, replaced))
        merged = History(
            np.concatenate([rest.movies, added.movies]),
            np.concatenate([rest.stars, added.stars]),
            np.concatenate([rest.timestamps, added.timestamps]),
        )
        return take(merged, np.lexsort((merged.movies, merged.timestamps)))
