"""`/movies`: search, single movies and similar ones."""

from __future__ import annotations

from typing import Any

import pytest

from bentos.schemas.movies import MoviePage, MovieShown
from bentos.schemas.pages import Recommendations
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.fixtures import genres_of as genres
from tests.service.api.client import (
    ApiClient,
    error_of,
    ids_of,
    parsed,
)


def search(api: ApiClient, **query: Any) -> list[str]:
    page = parsed(api.client.get("/movies", params=query), MoviePage)
    return [item.title for item in page.items]


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        ("toy sto", {"Toy Story", "Toy Story 2"}),
        ("STORY toy", {"Toy Story", "Toy Story 2"}),
        ("amelie", {"Le Fabuleux destin d'Amélie Poulain"}),
        ("amélie", {"Le Fabuleux destin d'Amélie Poulain"}),
        ("the matrix", {"The Matrix"}),
        ("1954", {"Seven Samurai (Shichinin no samurai)"}),
        ("toy 1999", {"Toy Story 2"}),
        ("solyaris", {"Solaris (Solyaris)"}),
        ("zzz", set()),
    ],
)
def test_search_matches_words_of_titles(api: ApiClient, query: str, titles: set[str]) -> None:
    assert set(search(api, query=query)) == titles


def test_search_results_are_filtered_and_paged(api: ApiClient) -> None:
    seen: list[MovieShown] = []
    cursor: str | None = None
    for _ in IDS:
        query = {"genres": ["Sci-Fi", "musical"], "year_to": 1999, "top_k": 4}
        if cursor is not None:
            query["cursor"] = cursor
        page = parsed(api.client.get("/movies", params=query), MoviePage)
        seen += page.items
        cursor = page.next
        if cursor is None:
            break
        assert len(page.items) == 4
    expected = {
        id_
        for id_ in IDS
        if genres(id_) & {"Sci-Fi", "Musical"} and MOVIES[id_ // 2][0] != "Babylon 5"
    }
    assert [item.movie_id for item in seen] == list(dict.fromkeys(item.movie_id for item in seen))
    assert {item.movie_id for item in seen} == expected
    # Without words the most rated movies come first.
    assert [item.ratings for item in seen] == sorted(
        (api.counts[id_] for id_ in expected), reverse=True
    )


def test_one_movie_has_its_number_of_ratings_and_mean_stars(api: ApiClient) -> None:
    shown = parsed(api.client.get("/movies/7"), MovieShown)
    assert (shown.title, shown.year) == ("The Matrix", 1999)
    assert shown.genres == ["Action", "Sci-Fi", "Thriller"]
    assert shown.ratings == api.counts[7]
    assert shown.mean_stars is not None
    assert shown.movie["title"] == "The Matrix"
    unrated = parsed(api.client.get(f"/movies/{IDS[-1]}"), MovieShown)
    assert (unrated.ratings, unrated.mean_stars) == (0, None)


def test_similar_movies_share_the_genre_and_exclude_the_movie(api: ApiClient) -> None:
    page = parsed(api.client.get("/movies/23/similar", params={"top_k": 3}), Recommendations)
    assert {item.source for item in page.items} == {"similar"}
    assert all("Sci-Fi" in genres(id_) for id_ in ids_of(page))
    assert {reason.movie_id for item in page.items for reason in item.because} == {23}
    shown = ids_of(page)
    for _ in IDS:
        if page.next is None:
            break
        query = {"top_k": 5, "cursor": page.next}
        page = parsed(api.client.get("/movies/23/similar", params=query), Recommendations)
        shown += ids_of(page)
    assert sorted(shown) == [id_ for id_ in IDS if id_ != 23]


@pytest.mark.parametrize("path", ["/movies", "/popular", "/movies/1/similar"])
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("genres=Sci-Fy", "the genres are Action, Adventure"),
        ("genres=", "genres"),
        ("year_from=1999&year_to=1998", "year_from 1999 is after year_to 1998"),
        ("top_k=0", "top_k"),
        ("top_k=101", "top_k"),
        ("cursor=x", "cursor"),
        ("cursor=%FF%00", "cursor"),
    ],
)
def test_invalid_parameter_of_a_list_gets_422(
    api: ApiClient, path: str, query: str, says: str
) -> None:
    assert says in error_of(api.client.get(f"{path}?{query}"), 422)


def test_unknown_movie_gets_404(api: ApiClient) -> None:
    for path in ("/movies/2", "/movies/2/similar", "/movies/999999999999"):
        assert "GET /movies finds ids" in error_of(api.client.get(path), 404)
    for path in ("/movies/0", "/movies/x", "/movies/-1/similar", f"/movies/{2**64}"):
        error_of(api.client.get(path), 422)
    assert "query" in error_of(api.client.get("/movies?query=" + "x" * 201), 422)
