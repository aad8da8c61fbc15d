"""A loaded bundle that answers: ranked movies for people, what they have seen left out."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from moovier.data.catalogue import Movie
from moovier.data.ratings import Floats, Ints
from moovier.errors import BadRequest, BundleError
from moovier.models.bundle import Bundle
from moovier.models.families import family
from moovier.models.top_k import top_rows
from moovier.serving.popularity import popular_days
from moovier.serving.user_recommender import UserRecommender

#: Bounds of ``top_k``.
LEAST_TOP_K, MOST_TOP_K = 1, 1000
#: People scored at once: keeps the score matrix small however long the request is.
_BATCH = 64
#: Of so many people, those asked for last, the best so many movies are kept: some 10 MB.
_KEPT_USERS, KEPT_TOP_K = 10_000, 100
#: Stands in place of a row for everybody whom the model does not know.
_STRANGER = -1


@dataclass(frozen=True)
class Recommendation:
    """``score`` orders the movies of one answer; it means nothing across answers."""

    movie: Movie
    score: float


@dataclass(frozen=True)
class Answer:
    """One person's list, best first. ``source`` is ``popular`` for a user the model does not
    know."""

    user_id: int
    items: tuple[Recommendation, ...]
    source: Literal["model", "popular"]


class Recommender:
    """One model with its people and catalogue: never changes, safe to share between threads."""

    def __init__(self, bundle: Bundle) -> None:
        """
        Raises:
            BundleError: the arrays do not make a scorer over the bundle's catalogue.
        """
        # The scorer holds what it needs of the arrays, often in another form: once is enough.
        self.bundle = replace(bundle, arrays={})
        self._lock = threading.Lock()
        self._row_of = dict(
            zip(bundle.index.users.tolist(), range(len(bundle.index.users)), strict=True)
        )
        self._lists: OrderedDict[int, _Ranked] = OrderedDict()
        try:
            self._scorer = family(bundle.card.family).scorer(bundle.arrays)
        except (KeyError, ValueError, BadRequest) as error:
            raise BundleError(f"{bundle.card.name} cannot score: {error}") from error
        if self._scorer.n_movies != len(bundle.catalogue):
            raise BundleError(
                f"{bundle.card.name} scores {self._scorer.n_movies} movies, but its catalogue "
                f"has {len(bundle.catalogue)}"
            )
        self.people = UserRecommender(self.bundle, self._scorer, popular_days(bundle))

    @property
    def name(self) -> str:
        return self.bundle.card.name

    def self_test(self) -> None:
        """Score somebody.

        Raises:
            BundleError: the scores are not finite numbers over the whole catalogue.
        """
        histories = self.bundle.histories
        if not histories.n_users:
            return
        scores = self._scorer.score(np.zeros(1, dtype=np.int64), histories)
        if scores.shape != (1, self._scorer.n_movies) or not np.isfinite(scores).all():
            raise BundleError(f"{self.name} does not give a finite score for every movie")

    def recommend(self, user_ids: Sequence[int], top_k: int) -> list[Answer]:
        """The best unseen movies for each user, in the order asked.

        ``user_ids``: MovieLens ids; an unknown one is given what is popular. ``top_k``: 1 to
        1,000; a list is shorter where fewer movies are left.

        Raises:
            BadRequest: ``user_ids`` is empty or ``top_k`` is out of range.
        """
        rows = self._rows(user_ids, top_k)
        ranked: dict[int, _Ranked] = {}
        for row in dict.fromkeys(rows):
            kept = self._kept(row, top_k)
            if kept is not None:
                ranked[row] = kept
        missing = [row for row in dict.fromkeys(rows) if row not in ranked]
        for start in range(0, len(missing), _BATCH):
            ranked |= self._rank(missing[start : start + _BATCH], max(top_k, KEPT_TOP_K))
        return self._answers(user_ids, rows, ranked, top_k)

    def at_hand(self, user_ids: Sequence[int], top_k: int) -> list[Answer] | None:
        """What :meth:`recommend` would say, if it takes no scoring; raises what that does."""
        rows = self._rows(user_ids, top_k)
        ranked: dict[int, _Ranked] = {}
        for row in rows:
            kept = self._kept(row, top_k)
            if kept is None:
                return None
            ranked[row] = kept
        return self._answers(user_ids, rows, ranked, top_k)

    def _rows(self, user_ids: Sequence[int], top_k: int) -> list[int]:
        """The users' rows, ``_STRANGER`` for an unknown one."""
        if not user_ids:
            raise BadRequest("the list of users is empty; give at least one user id")
        if not LEAST_TOP_K <= top_k <= MOST_TOP_K:
            raise BadRequest(f"top_k must be from {LEAST_TOP_K} to {MOST_TOP_K}, not {top_k}")
        return [self._row_of.get(user_id, _STRANGER) for user_id in user_ids]

    def _kept(self, row: int, top_k: int) -> _Ranked | None:
        """The list of ``row`` from an earlier answer, if it is long enough."""
        with self._lock:
            kept = self._lists.get(row)
            if kept is None or top_k > KEPT_TOP_K:
                return None
            self._lists.move_to_end(row)
            return kept

    def _rank(self, rows: list[int], top_k: int) -> dict[int, _Ranked]:
        """Score and rank; the model never changes, so the best are kept for the next time."""
        ranked: dict[int, _Ranked] = {}
        known = [row for row in rows if row != _STRANGER]
        histories = self.bundle.histories
        if known:
            scores = self._scorer.score(np.array(known, dtype=np.int64), histories)
            for row, user_scores in zip(known, scores.copy(), strict=True):
                user_scores[histories[row].movies] = -np.inf
                ranked[row] = _Ranked.of(user_scores, top_k)
        if len(known) < len(rows):
            ranked[_STRANGER] = _Ranked.of(self.people.popularity.default(), top_k)
        with self._lock:
            for row, best in ranked.items():
                self._lists[row] = best.first(KEPT_TOP_K)
                self._lists.move_to_end(row)
            while len(self._lists) > _KEPT_USERS:
                self._lists.popitem(last=False)
        return ranked

    def _answers(
        self, user_ids: Sequence[int], rows: list[int], ranked: dict[int, _Ranked], top_k: int
    ) -> list[Answer]:
        catalogue = self.bundle.catalogue
        return [
            Answer(
                user_id,
                tuple(
                    Recommendation(catalogue[movie], score)
                    for movie, score in ranked[row].pairs(top_k)
                ),
                "popular" if row == _STRANGER else "model",
            )
            for user_id, row in zip(user_ids, rows, strict=True)
        ]


@dataclass(frozen=True)
class _Ranked:
    """Movie rows and their scores, best first: (k,) each."""

    movies: Ints
    scores: Floats

    @classmethod
    def of(cls, scores: Floats, top_k: int) -> _Ranked:
        best = top_rows(scores, top_k)
        return cls(best, scores[best])

    def first(self, k: int) -> _Ranked:
        # A copy, so that a short list does not keep a long one alive.
        return (
            self
            if self.movies.size <= k
            else _Ranked(self.movies[:k].copy(), self.scores[:k].copy())
        )

    def pairs(self, k: int) -> Iterable[tuple[int, float]]:
        return zip(self.movies[:k].tolist(), self.scores[:k].tolist(), strict=True)
