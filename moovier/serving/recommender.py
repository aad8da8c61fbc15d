"""Ranked movies for users by id, without the movies that they rated."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from cachetools import LRUCache

from moovier.data.catalogue import Movie
from moovier.data.id_rows import id_rows
from moovier.data.ratings import Floats, Ints
from moovier.errors import BadRequest, BundleError
from moovier.models.bundle import Bundle
from moovier.models.families import family
from moovier.models.family import Scorer
from moovier.models.top_k import top_rows
from moovier.serving.new_places import NO_ROWS, NewPlaces
from moovier.serving.popularity import popular_days
from moovier.serving.title_matching import TitleMatcher
from moovier.serving.user_recommender import UserRecommender

#: Bounds of ``top_k``.
MIN_TOP_K, MAX_TOP_K = 1, 1000
#: Users scored at once: bounds the score matrix however long the request is.
BATCH_SIZE = 64
#: Users whose lists are in memory, the most recently used ones, and the length of these lists:
#: some 10 MB.
CACHED_USERS, CACHED_TOP_K = 10_000, 100
#: The row of every user whom the model does not know.
_UNKNOWN = -1


@dataclass(frozen=True)
class Recommendation:
    """A movie of a list; ``score`` orders the movies of one list and means nothing beyond it."""

    movie: Movie
    score: float


@dataclass(frozen=True)
class Answer:
    """One user's list, best first; ``source`` is ``popular`` for an unknown user."""

    user_id: int
    items: tuple[Recommendation, ...]
    source: Literal["model", "popular"]


class Recommender:
    """One model with its users and catalogue. Immutable and safe to share between threads."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        scorer: Scorer | None = None,
        base: Recommender | None = None,
        new_movies: object = None,
        new_rows: Ints = NO_ROWS,
        new_share: float = 0.0,
    ) -> None:
        """Build the scorer of a bundle.

        With ``scorer`` the bundle's arrays are not needed. The others describe a model with new
        movies (:mod:`moovier.serving.new_movies`): ``base`` is the model without them,
        ``new_movies`` what was added, ``new_rows`` their rows, and ``new_share`` their share of
        the places.

        Raises:
            BundleError: the arrays do not make a scorer for the bundle's catalogue.
        """
        # The scorer keeps what it needs of the arrays, often in another form.
        self.bundle = replace(bundle, arrays={})
        self.base, self.new_movies = base or self, new_movies
        self._lock = threading.Lock()
        self._row_of = id_rows(bundle.index.users)
        self._lists: LRUCache[int, _Ranking] = LRUCache(CACHED_USERS)
        try:
            self._scorer = scorer or family(bundle.card.family).scorer(bundle.arrays)
        except (KeyError, ValueError, BadRequest) as error:
            raise BundleError(f"{bundle.card.name} cannot score: {error}") from error
        if self._scorer.n_movies != len(bundle.catalogue):
            raise BundleError(
                f"{bundle.card.name} scores {self._scorer.n_movies} movies, but its catalogue "
                f"has {len(bundle.catalogue)}"
            )
        days = (
            popular_days(bundle) if base is None else base.user_recommender.popularity.default_days
        )
        self.user_recommender: UserRecommender = UserRecommender(
            self.bundle, self._scorer, days, NewPlaces(new_rows, new_share)
        )

    @property
    def name(self) -> str:
        """Return the model's display name."""
        return self.bundle.card.name

    @property
    def scorer(self) -> Scorer:
        """Return what scores the catalogue."""
        return self._scorer

    def rated_titles(self, movie_ids: Sequence[int]) -> dict[int, str]:
        """Return the titles of the movies among ``movie_ids`` (MovieLens) that have ratings, by id.

        Movies that were added beside the data set do not count, even after somebody rated them.
        """
        base = self.base
        rows = base.bundle.index.movie_rows(np.array(movie_ids, dtype=np.int64)).tolist()
        counts, catalogue = base.user_recommender.counts, base.bundle.catalogue
        return {
            movie_id: catalogue[row].title
            for movie_id, row in zip(movie_ids, rows, strict=True)
            if row >= 0 and counts[row]
        }

    @cached_property
    def title_matcher(self) -> TitleMatcher:
        """Return the catalogue by ids, titles and years, for files of other services."""
        return TitleMatcher(self.bundle.catalogue, self.user_recommender.counts)

    def self_test(self) -> None:
        """Score the first user.

        Raises:
            BundleError: a score is missing or not finite.
        """
        histories = self.bundle.histories
        if not histories.n_users:
            return
        scores = self._scorer.score(np.zeros(1, dtype=np.int64), histories)
        if scores.shape != (1, self._scorer.n_movies) or not np.isfinite(scores).all():
            raise BundleError(f"{self.name} does not give a finite score for every movie")

    def recommend(self, user_ids: Sequence[int], top_k: int) -> list[Answer]:
        """Return the best unseen movies of each user, in the order of ``user_ids``.

        ``user_ids`` are MovieLens ids; an unknown user gets popular movies. ``top_k`` is 1 to
        1,000; a list is shorter if fewer movies are left.

        Raises:
            BadRequest: ``user_ids`` is empty or ``top_k`` is out of range.
        """
        rows = self._rows(user_ids, top_k)
        rankings: dict[int, _Ranking] = {}
        for row in dict.fromkeys(rows):
            cached = self._cached(row, top_k)
            if cached is not None:
                rankings[row] = cached
        missing = [row for row in dict.fromkeys(rows) if row not in rankings]
        for start in range(0, len(missing), BATCH_SIZE):
            rankings |= self._rank(missing[start : start + BATCH_SIZE], max(top_k, CACHED_TOP_K))
        return self._answers(user_ids, rows, rankings, top_k)

    def ranking_ids(self, user_ids: Sequence[int], top_k: int) -> list[tuple[Ints, Floats]]:
        """Return the movie ids and scores of :meth:`recommend` as arrays, (k,) each.

        For lists of all users: no list is kept in memory.

        Raises:
            BadRequest: ``user_ids`` is empty or ``top_k`` is out of range.
        """
        rows = self._rows(user_ids, top_k)
        movie_ids = self.bundle.index.movies
        lists: dict[int, tuple[Ints, Floats]] = {}
        missing = list(dict.fromkeys(rows))
        for start in range(0, len(missing), BATCH_SIZE):
            for row, ranking in self._rankings(missing[start : start + BATCH_SIZE], top_k).items():
                lists[row] = movie_ids[ranking.movies], ranking.scores
        return [lists[row] for row in rows]

    def recommend_from_cache(self, user_ids: Sequence[int], top_k: int) -> list[Answer] | None:
        """Return what :meth:`recommend` returns, or None if that needs scoring.

        Raises:
            BadRequest: ``user_ids`` is empty or ``top_k`` is out of range.
        """
        rows = self._rows(user_ids, top_k)
        rankings: dict[int, _Ranking] = {}
        for row in rows:
            cached = self._cached(row, top_k)
            if cached is None:
                return None
            rankings[row] = cached
        return self._answers(user_ids, rows, rankings, top_k)

    def _rows(self, user_ids: Sequence[int], top_k: int) -> list[int]:
        """Return the users' rows, ``_UNKNOWN`` for an unknown user."""
        if not user_ids:
            raise BadRequest("the list of users is empty; give at least one user id")
        if not MIN_TOP_K <= top_k <= MAX_TOP_K:
            raise BadRequest(f"top_k must be from {MIN_TOP_K} to {MAX_TOP_K}, not {top_k}")
        return [self._row_of.get(user_id, _UNKNOWN) for user_id in user_ids]

    def _cached(self, row: int, top_k: int) -> _Ranking | None:
        """Return a row's list from an earlier call, if it is long enough."""
        if top_k > CACHED_TOP_K:
            return None
        with self._lock:
            return self._lists.get(row)

    def _rank(self, rows: list[int], top_k: int) -> dict[int, _Ranking]:
        """Score and rank rows; the best movies stay in memory, since the model never changes."""
        rankings = self._rankings(rows, top_k)
        with self._lock:
            for row, ranking in rankings.items():
                self._lists[row] = ranking.first(CACHED_TOP_K)
        return rankings

    def _rankings(self, rows: list[int], top_k: int) -> dict[int, _Ranking]:
        """Score and rank rows."""
        rankings: dict[int, _Ranking] = {}
        known = [row for row in rows if row != _UNKNOWN]
        histories = self.bundle.histories
        if known:
            scores = self._scorer.score(np.array(known, dtype=np.int64), histories)
            for row, user_scores in zip(known, scores.copy(), strict=True):
                user_scores[histories[row].movies] = -np.inf
                best = top_rows(user_scores, top_k)
                best = self.user_recommender.new_places.placed(user_scores, best)
                rankings[row] = _Ranking(best, user_scores[best])
        if len(known) < len(rows):
            popularity = self.user_recommender.popularity
            rankings[_UNKNOWN] = _Ranking.of(popularity.default(), top_k)
        return rankings

    def _answers(
        self, user_ids: Sequence[int], rows: list[int], rankings: dict[int, _Ranking], top_k: int
    ) -> list[Answer]:
        catalogue = self.bundle.catalogue
        return [
            Answer(
                user_id,
                tuple(
                    Recommendation(catalogue[movie], score)
                    for movie, score in rankings[row].pairs(top_k)
                ),
                "popular" if row == _UNKNOWN else "model",
            )
            for user_id, row in zip(user_ids, rows, strict=True)
        ]


@dataclass(frozen=True)
class _Ranking:
    """Movie rows and their scores, (k,) each, best first."""

    movies: Ints
    scores: Floats

    @classmethod
    def of(cls, scores: Floats, top_k: int) -> _Ranking:
        best = top_rows(scores, top_k)
        return cls(best, scores[best])

    def first(self, k: int) -> _Ranking:
        if self.movies.size <= k:
            return self
        # A copy, so that a short list does not keep a long one in memory.
        return _Ranking(self.movies[:k].copy(), self.scores[:k].copy())

    def pairs(self, k: int) -> Iterable[tuple[int, float]]:
        return zip(self.movies[:k].tolist(), self.scores[:k].tolist(), strict=True)
