"""User recommenders of toy models, and what their pages must contain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Floats, Histories, History, Ints
from moovier.models.families import family
from moovier.models.family import FitContext, Scorer
from moovier.serving import cursor
from moovier.serving.filters import Filter
from moovier.serving.user_profile import UserProfile
from moovier.serving.user_recommender import Page, UserRecommender
from tests.contracts import toy

GENRES = ("Drama", "Comedy", "Sci-Fi", "War")
FAMILIES = ("ease", "timeline", "taste", "popular")
USERS = [100 + 3 * row for row in range(toy.N_USERS)]
MOVIES: list[int] = toy.MOVIE_IDS.tolist()
UNKNOWN_USER = 99
NO_MOVIES = np.zeros(0, dtype=np.int64)


def catalogue() -> Catalogue:
    """Return the toy movies with one or two genres each, one without a year."""
    return Catalogue.of(
        Movie(
            id_,
            f"Movie {id_}",
            None if row == 4 else 1980 + row,
            tuple(dict.fromkeys((GENRES[row % 4], GENRES[row % 3]))),
            None,
            None,
        )
        for row, id_ in enumerate(MOVIES)
    )


class Counting:
    """A scorer that records its calls."""

    def __init__(self, inner: Scorer) -> None:
        self._inner = inner
        self.n_movies = inner.n_movies
        self.scored: list[int] = []
        self.folded: list[History] = []

    def score(self, users: Ints, histories: Histories) -> Floats:
        self.scored += users.tolist()
        return self._inner.score(users, histories)

    def fold_in(self, history: History) -> Floats:
        self.folded.append(history)
        return self._inner.fold_in(history)

    def explain(self, history: History, movies: Ints) -> Floats:
        return self._inner.explain(history, movies)


@cache
def fitted(name: str) -> UserRecommender:
    kind, known = family(name), toy.ratings()
    params = kind.hyper_parameters.model_validate(toy.PARAMS.get(name, {"size": 1}))
    arrays = kind.fit(known, params, FitContext(catalogue(), seed=0)).arrays
    bundle = replace(toy.bundle_of(name, params, arrays, known), catalogue=catalogue())
    return UserRecommender(bundle, Counting(kind.scorer(arrays)))


def fresh(name: str) -> tuple[UserRecommender, Counting]:
    """Return a user recommender with an empty cache, and its scorer."""
    known = fitted(name)
    scorer = Counting(known._scorer)
    return UserRecommender(known._bundle, scorer), scorer


def everything(make: Callable[[Ints], Page], size: int) -> Iterator[Page]:
    """Yield all pages by their cursors."""
    shown = NO_MOVIES
    while True:
        page = make(shown)
        yield page
        if not page.more:
            return
        assert len(page.items) == size
        shown = cursor.decode(cursor.encode(np.concatenate([shown, page.ids])))


def passing(movie_filter: Filter) -> set[int]:
    """Return the ids of the movies that pass a filter."""
    named = {name.casefold() for name in movie_filter.genres}

    def fits(movie: Movie) -> bool:
        if named and not named & {name.casefold() for name in movie.genres}:
            return False
        if movie_filter.year_from is not None and (movie.year or -1) < movie_filter.year_from:
            return False
        return movie_filter.year_to is None or (movie.year or 9999) <= movie_filter.year_to

    return {movie.id for movie in catalogue() if fits(movie)}


def history_of(profile: UserProfile) -> list[tuple[int, float, int]]:
    """Return (movie id, stars, timestamp) of each rating, oldest first."""
    history = profile.history
    return list(
        zip(
            toy.MOVIE_IDS[history.movies].tolist(),
            history.stars.tolist(),
            history.timestamps.tolist(),
            strict=True,
        )
    )
