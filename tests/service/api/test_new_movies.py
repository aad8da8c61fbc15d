"""Movies that nobody has rated: added, searched, rated, recommended and deleted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bentos.schemas.movies import MovieShown
from bentos.schemas.pages import Recommendations
from moovier.feedback.database import Database
from moovier.feedback.new_movies import NewMovie, NewMovieStore
from moovier.serving.group import STRATEGIES
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES
from tests.service.api.client import ApiClient, error_of, ids_of, parsed
from tests.service.conftest import wait_for

#: Not in the data set, one between its ids and one above them.
BETWEEN, ABOVE = 2, 9001
SPACE = {
    "title": "Voyage to the Rings",
    "year": 1996,
    "genres": ["Drama", "Sci-Fi"],
    "people": ["Ann Example"],
    "text": "A signal from space.",
}


def id_of(title: str) -> int:
    return next(id_ for id_, (name, _) in zip(IDS, TITLED_MOVIES, strict=True) if name == title)


@pytest.fixture
def added(api: ApiClient) -> Iterator[int]:
    """Add a movie, yield its id, and delete it."""
    answer = api.client.put(f"/movies/{ABOVE}", json=SPACE)
    assert answer.status_code == 201, answer.text
    yield ABOVE
    api.client.delete(f"/movies/{ABOVE}")


def recommend(api: ApiClient, **body: Any) -> Recommendations:
    return parsed(api.client.post("/recommend", json=body), Recommendations)


@pytest.mark.parametrize("movie_id", [BETWEEN, ABOVE])
def test_new_movie_is_found_and_shown_until_it_is_deleted(api: ApiClient, movie_id: int) -> None:
    before = api.client.post("/recommend", json={"user_id": 1, "top_k": 5}).json()["items"]
    answer = api.client.put(f"/movies/{movie_id}", json=SPACE)
    assert answer.status_code == 201
    shown = MovieShown.model_validate_json(answer.content, extra="forbid")
    assert (shown.movie_id, shown.title, shown.year) == (movie_id, "Voyage to the Rings", 1996)
    assert (shown.ratings, shown.mean_stars) == (0, None)
    assert parsed(api.client.get(f"/movies/{movie_id}"), MovieShown) == shown
    hits = api.client.get("/movies", params={"query": "voyage"}).json()["items"]
    assert [item["movie_id"] for item in hits] == [movie_id]
    changed = api.client.put(f"/movies/{movie_id}", json={**SPACE, "title": "The Rings"})
    assert (changed.status_code, changed.json()["title"]) == (200, "The Rings")
    assert api.client.get("/movies", params={"query": "voyage"}).json()["items"] == []
    deleted = api.client.delete(f"/movies/{movie_id}")
    assert (deleted.status_code, deleted.json()) == (200, {"deleted": movie_id})
    assert api.client.get(f"/movies/{movie_id}").status_code == 404
    assert "was added" in error_of(api.client.delete(f"/movies/{movie_id}"), 404)
    after = api.client.post("/recommend", json={"user_id": 1, "top_k": 5}).json()["items"]
    assert after == before


def test_new_movie_has_a_place_in_the_lists_of_those_whom_it_fits(
    api: ApiClient, added: int
) -> None:
    fans = {str(id_of(title)): 5 for title in ("Contact (1997)", "Gattaca (1997)")}
    page = recommend(api, ratings=fans, top_k=20)
    assert added in ids_of(page)
    item = next(item for item in page.items if item.movie_id == added)
    assert {reason.movie_id for reason in item.because} <= {int(id_) for id_ in fans}
    # A movie that was rated or that the filter leaves out does not come back.
    assert added not in ids_of(recommend(api, ratings={**fans, str(added): 4}, top_k=20))
    assert added not in ids_of(recommend(api, ratings=fans, top_k=20, genres=["Comedy"]))
    assert added not in ids_of(recommend(api, ratings=fans, top_k=20, exclude=[added]))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_new_movie_has_a_place_in_the_list_of_several_people_whom_it_fits(
    api: ApiClient, added: int, strategy: str
) -> None:
    fans = [{"ratings": {str(id_of(title)): 5}} for title in ("Contact (1997)", "Gattaca (1997)")]
    page = recommend(api, people=fans, strategy=strategy, top_k=20)
    ids = ids_of(page)
    assert added in ids
    assert len(set(ids)) == len(ids)
    rated = [{"ratings": {str(added): 1}}, fans[0]]
    assert added not in ids_of(recommend(api, people=rated, strategy=strategy, top_k=20))
    second = recommend(api, people=fans, strategy=strategy, top_k=20, cursor=page.next)
    assert added not in ids_of(second)


def test_predict_lists_the_new_movie_too(api: ApiClient, added: int) -> None:
    users = sorted(api.rated)[:8]
    lists = api.client.post("/predict?top_k=20", json=users).json()
    titles = [movie["title"] for movies in lists.values() for movie in movies]
    assert "Voyage to the Rings" in titles


def test_pages_with_a_new_movie_repeat_none(api: ApiClient, added: int) -> None:
    fans = {str(id_of("Contact (1997)")): 5}
    seen: list[int] = []
    cursor = None
    while True:
        body = {"ratings": fans, "top_k": 10, **({"cursor": cursor} if cursor else {})}
        page = recommend(api, **body)
        seen += ids_of(page)
        cursor = page.next
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == len(IDS)  # all but the rated one, plus the new one


def test_rating_of_a_new_movie_is_stored_and_counts(
    api: ApiClient, added: int, new_user: int
) -> None:
    rating = {"user_id": new_user, "ratings": [{"movie_id": added, "stars": 5}]}
    assert api.client.post("/ratings", json=rating).json()["stored"] == 1
    page = recommend(api, user_id=new_user, top_k=5)
    assert {item.source for item in page.items} == {"model"}
    # It counts as a rating of the most similar movie, a drama with science fiction of its time.
    popular = [item.movie_id for item in recommend(api, top_k=5).items]
    assert ids_of(page) != popular
    api.client.delete("/ratings", params={"user_id": new_user})


def test_movie_that_another_process_adds_arrives_within_seconds(api: ApiClient) -> None:
    database = Database.open(api.settings.database)
    store = NewMovieStore(database)
    try:
        store.put([NewMovie(9100, "Elsewhere", 2001, ("Drama",))])
        wait_for(lambda: api.client.get("/movies/9100").status_code == 200, timeout_s=10)
        store.delete(9100)
        wait_for(lambda: api.client.get("/movies/9100").status_code == 404, timeout_s=10)
    finally:
        database.close()


def test_id_of_a_rated_movie_is_refused(api: ApiClient) -> None:
    answer = api.client.put(f"/movies/{IDS[0]}", json=SPACE)
    detail = error_of(answer, 409)
    assert "Toy Story" in detail
    assert "movies.csv" in detail


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " "}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"year": 1799}, "year"),
        ({"genres": ["Drama|Comedy"]}, "genres"),
        ({"genres": ["Drama,Comedy"]}, "genres"),
        ({"people": ["x" * 101]}, "people"),
        ({"text": "x" * 20_001}, "text"),
        ({"tmdb_id": 2**31}, "tmdb_id"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_invalid_movie_is_refused(api: ApiClient, change: dict[str, Any], field: str) -> None:
    assert field in error_of(api.client.put("/movies/9002", json={**SPACE, **change}), 422)
    assert api.client.get("/movies/9002").status_code == 404
