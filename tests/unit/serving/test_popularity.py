"""Popularity of all time and of the last days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Floats
from moovier.models.bundle import Bundle
from moovier.models.popular import PopularParams
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.filters import Filter
from moovier.serving.popularity import Popularity, popular_days
from moovier.serving.recommender import Recommender
from tests.contracts import toy
from tests.fixtures import toy_bundle

DAY_S = 86_400
NO_MOVIES = np.zeros(0, dtype=np.int64)
#: Movie row, days before the newest rating.
RATINGS = (
    (0, 900),
    (0, 800),
    (0, 700),
    (0, 40),
    (1, 20),
    (1, 10),
    (2, 5),
    (3, 2),
    (3, 0),
    (4, 900),
)


def aged_bundle(arrays: Mapping[str, Any] | None = None, **params: int) -> Bundle:
    """A popularity model of one rating per user, as ``RATINGS`` says."""
    rows = [
        (user, movie, 4.0, 2_000_000_000 - days * DAY_S)
        for user, (movie, days) in enumerate(RATINGS)
    ]
    known = toy.ratings_of(rows, len(RATINGS))
    bundle = toy.bundle_of(
        "popular", PopularParams(), {"counts": known.histories.movie_counts()}, known
    )
    card = bundle.card.model_copy(update={"params": {**bundle.card.params, **params}})
    return replace(bundle, card=card, arrays={**bundle.arrays, **(arrays or {})})


def best(scores: Floats, k: int = 5) -> list[int]:
    movies: list[int] = np.lexsort((np.arange(scores.size), -scores))[:k].tolist()
    return movies


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        # All time: four ratings, twice two, twice one.
        (None, [0, 1, 3, 2, 4]),
        (36_500, [0, 1, 3, 2, 4]),
        # Equal numbers in the window stand by their ratings of all time, then by row.
        (60, [1, 3, 0, 2, 4]),
        (30, [1, 3, 2, 0, 4]),
        (7, [3, 2, 0, 1, 4]),
        # A rating exactly at the edge no longer counts.
        (5, [3, 0, 1, 2, 4]),
        (1, [3, 0, 1, 2, 4]),
    ],
)
def test_window_ranks_first_and_all_time_fills_the_rest(
    days: int | None, expected: list[int]
) -> None:
    scores = Popularity(aged_bundle().histories).scores(days)
    assert best(scores) == expected
    assert scores.dtype == np.float32
    assert 0 <= scores.min() <= scores.max() <= 1


def test_windows_are_cached_and_the_oldest_dropped() -> None:
    popularity = Popularity(aged_bundle().histories)
    first = popularity.scores(1)
    assert popularity.scores(1) is first
    for days in range(2, 10):
        popularity.scores(days)
    assert popularity.scores(1) is not first
    assert np.array_equal(popularity.scores(1), first)


def test_data_without_ratings_has_no_popular_movie() -> None:
    bundle = toy_bundle()
    histories = replace(
        bundle.histories,
        offsets=np.zeros(4, np.int64),
        movies=NO_MOVIES.astype(np.int32),
        stars=np.zeros(0, np.float32),
        timestamps=NO_MOVIES,
    )
    assert Popularity(histories).scores(30).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("arrays", "params", "expected"),
    [
        ({}, {}, None),
        ({}, {"days": 30}, 30),
        ({}, {"days": 0}, None),
        ({"popular_days": np.array(7)}, {"days": 30}, 7),
        ({"popular_days": np.array([365])}, {}, 365),
        ({"popular_days": np.array(0)}, {"days": 30}, None),
    ],
)
def test_default_window_comes_from_the_bundle(
    arrays: dict[str, Any], params: dict[str, int], expected: int | None
) -> None:
    bundle = aged_bundle(arrays, **params)
    assert popular_days(bundle) == expected
    # Another family's ``days`` would be something else.
    card = bundle.card.model_copy(update={"family": "ease", "params": {"days": 30}})
    assert popular_days(replace(bundle, card=card, arrays={})) is None


def test_unknown_users_get_the_default_window() -> None:
    recommender = Recommender(aged_bundle({"popular_days": np.array(7)}))
    ids = [toy.MOVIE_IDS[row] for row in (3, 2, 0, 1, 4)]
    [answer] = recommender.recommend([999], 5)
    assert [item.movie.id for item in answer.items] == ids
    user_recommender = recommender.user_recommender
    page = user_recommender.page(user_recommender.user(999), Filter(), exclude=NO_MOVIES, top_k=5)
    assert (page.ids.tolist(), page.days) == (ids, 7)
    page = user_recommender.popular(Filter(), exclude=NO_MOVIES, top_k=5)
    assert (page.ids.tolist(), page.days) == (ids, 7)
    page = user_recommender.popular(Filter(), exclude=NO_MOVIES, top_k=2, days=30)
    assert (page.ids.tolist(), page.days) == ([toy.MOVIE_IDS[1], toy.MOVIE_IDS[3]], 30)
    page = user_recommender.page(user_recommender.user(100), Filter(), exclude=NO_MOVIES, top_k=5)
    assert page.days is None


def test_stand_in_for_a_champion_uses_the_same_window() -> None:
    recommender = Recommender(aged_bundle({"popular_days": np.array(7)}))
    stand_in = LoadedModel(1, "x", "1-x", recommender).as_popular().recommender
    assert stand_in.user_recommender.popularity.default_days == 7
    [expected], [answer] = recommender.recommend([999], 5), stand_in.recommend([999], 5)
    assert [item.movie for item in answer.items] == [item.movie for item in expected.items]
