"""`/popular`: popular movies of all time and of the last days."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bentos.schemas.pages import Recommendations
from moovier.data.movielens import read_movielens, to_arrays
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.fixtures import genres_of as genres
from tests.service.api.client import (
    ApiClient,
    error_of,
    ids_of,
    parsed,
)


def test_popular_movies_are_ordered_by_ratings_and_filtered(api: ApiClient) -> None:
    def popular(**query: Any) -> Recommendations:
        return parsed(api.client.get("/popular", params=query), Recommendations)

    by_count = sorted(IDS, key=lambda id_: (-api.counts[id_], id_))
    first = popular(top_k=20)
    assert ids_of(first) == by_count[:20]
    assert {item.source for item in first.items} == {"popular"}
    second = popular(top_k=20, cursor=first.next)
    assert ids_of(second) == by_count[20:]
    assert second.next is None
    dramas = [id_ for id_ in by_count if "Drama" in genres(id_)]
    assert ids_of(popular(genres="drama", top_k=3)) == dramas[:3]
    assert ids_of(popular(year_from=1995, year_to=1995, top_k=100)) == [
        id_ for id_ in by_count if "(1995)" in MOVIES[id_ // 2][0]
    ]


def test_popular_movies_of_the_last_days_come_first(api: ApiClient) -> None:
    index, ratings, _ = to_arrays(read_movielens(api.settings.home.parent / "data"))
    moments, newest = ratings.timestamps, int(ratings.timestamps.max())
    for days in (1, 3, 36_500):
        recent = np.bincount(ratings.movies[moments > newest - days * 86_400], minlength=len(IDS))
        expected = sorted(IDS, key=lambda id_: (-recent[IDS.index(id_)], -api.counts[id_], id_))
        page = parsed(
            api.client.get("/popular", params={"days": days, "top_k": 28}),
            Recommendations,
        )
        assert (ids_of(page), page.days) == (expected, days)
        first = parsed(
            api.client.get("/popular", params={"days": days, "top_k": 10}),
            Recommendations,
        )
        query = {"days": days, "top_k": 18, "cursor": first.next}
        rest = parsed(api.client.get("/popular", params=query), Recommendations)
        assert ids_of(first) + ids_of(rest) == expected
    assert parsed(api.client.get("/popular"), Recommendations).days is None
    assert index.movies.tolist() == list(IDS)


@pytest.mark.parametrize("days", ["0", "-1", "36501", "1.5", "", "week"])
def test_window_out_of_range_gets_422(api: ApiClient, days: str) -> None:
    assert "days" in error_of(api.client.get(f"/popular?days={days}"), 422)


def test_trending_movies_have_recent_ratings_and_a_window(api: ApiClient) -> None:
    _, ratings, _ = to_arrays(read_movielens(api.settings.home.parent / "data"))
    newest = int(ratings.timestamps.max())
    page = parsed(api.client.get("/trending", params={"days": 2, "top_k": 50}), Recommendations)
    assert page.days == 2
    recent = set(ratings.movies[ratings.timestamps > newest - 2 * 86_400].tolist())
    assert {IDS.index(movie) for movie in ids_of(page)} <= recent
    scores = [item.score for item in page.items]
    assert scores == sorted(scores, reverse=True)
    assert parsed(api.client.get("/trending"), Recommendations).days == 30
