"""`/ratings`: ratings are stored, counted, listed and deleted."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from bentos.schemas.ratings import Deleted, OwnRatings, RatingsAck
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.fixtures import genres_of as genres
from tests.service.api.client import (
    UNKNOWN_MOVIE,
    ApiClient,
    error_of,
    ids_of,
    new_user_ids,
    parsed,
)


def predicted_titles(api: ApiClient, user: int, top_k: int = 28) -> list[str]:
    answer = api.client.post(f"/predict?top_k={top_k}", json=[user])
    assert answer.status_code == 200
    return [movie["original_title"] for movie in answer.json()[str(user)]]


def own_ratings(api: ApiClient, user: int) -> list[tuple[int, float]]:
    answer = parsed(api.client.get(f"/ratings?user_id={user}"), OwnRatings)
    assert answer.user_id == user
    return [(int(rating.movie_id), rating.stars) for rating in answer.ratings]


def test_rating_counts_in_the_next_list(api: ApiClient, new_user: int) -> None:
    assert api.recommend(user_id=new_user).items[0].source == "popular"
    popular = predicted_titles(api, new_user)
    request_id = api.recommend(user_id=new_user).request_id
    answer = api.rate(new_user, (9, 5), (23, 4.5), request_id=request_id)
    stored = parsed(answer, RatingsAck)
    assert (stored.stored, stored.ignored, stored.replayed) == (2, 0, False)
    page = api.recommend(user_id=new_user, top_k=28)
    assert {item.source for item in page.items} == {"model"}
    assert set(ids_of(page)) == set(IDS) - {9, 23}
    assert "Sci-Fi" in genres(page.items[0].movie_id)
    assert {r.movie_id for r in page.items[0].because} <= {9, 23}
    assert page.items[0].stars is not None
    # The same ratings in a request, and `/predict`, give the same list.
    assert ids_of(api.recommend(ratings={"9": 5, "23": 4.5}, top_k=1)) == ids_of(page)[:1]
    by_id = {id_: MOVIES[id_ // 2][0] for id_ in ids_of(page)}
    shown = predicted_titles(api, new_user)
    assert len(shown) == len(by_id)
    assert shown != popular
    assert "Alien" not in shown
    answer = api.client.post("/predict", json=[new_user])
    assert "x-moovier-unknown-users" not in answer.headers
    given = parsed(api.client.get(f"/ratings?user_id={new_user}"), OwnRatings).ratings
    assert {rating.request_id for rating in given} == {request_id}


def test_ratings_of_the_request_count_on_top_of_stored_ones(api: ApiClient, new_user: int) -> None:
    api.rate(new_user, (9, 5), (23, 5))
    page = api.recommend(user_id=new_user, ratings={"1": 0.5, "23": 0.5}, top_k=28)
    assert set(ids_of(page)) == set(IDS) - {1, 9, 23}
    # The request's rating of a movie replaces the stored one.
    assert {r.movie_id for item in page.items for r in item.because} == {9}


def test_new_rating_of_a_known_user_removes_the_movie_from_lists(api: ApiClient) -> None:
    user = 6
    before = api.recommend(user_id=user, top_k=28)
    first = ids_of(before)[0]
    api.rate(user, (first, 5))
    assert set(ids_of(api.recommend(user_id=user, top_k=28))) == set(ids_of(before)) - {first}
    assert len(predicted_titles(api, user)) == len(before.items) - 1
    # In a list of users only the one that rated is different.
    both = api.client.post("/predict?top_k=28", json=[8, user, 8]).json()
    assert list(both) == ["8", str(user)]
    assert len(both["8"]) == len(IDS) - len(api.rated[8])
    api.client.delete(f"/ratings?user_id={user}&movie_id={first}")
    again = api.recommend(user_id=user, top_k=28)
    assert set(ids_of(again)) == set(ids_of(before))


def test_newest_rating_of_a_movie_counts(api: ApiClient, new_user: int) -> None:
    def rate(stars: float, timestamp: int | None) -> RatingsAck:
        rating = {"movie_id": 9, "stars": stars, "timestamp": timestamp}
        answer = api.client.post("/ratings", json={"user_id": new_user, "ratings": [rating]})
        return parsed(answer, RatingsAck)

    assert rate(3, 1000).stored == 1
    assert rate(3, 1000).stored == 1
    assert own_ratings(api, new_user) == [(9, 3.0)]
    older = rate(1, 999)
    assert (older.stored, older.ignored) == (0, 1)
    assert own_ratings(api, new_user) == [(9, 3.0)]
    rate(5, 1001)
    assert own_ratings(api, new_user) == [(9, 5.0)]
    # Without a timestamp it is now.
    before = int(time.time())
    assert rate(2, None).stored == 1
    [rating] = parsed(api.client.get(f"/ratings?user_id={new_user}"), OwnRatings).ratings
    assert before <= rating.timestamp <= time.time()
    twice = api.rate(new_user, (7, 1), (7, 4))
    assert (twice.json()["stored"], twice.json()["ignored"]) == (1, 1)
    assert (7, 4.0) in own_ratings(api, new_user)


def test_idempotency_key_stores_ratings_once(
    api: ApiClient, new_user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(stars: float, key: str, user: int = new_user) -> httpx.Response:
        rating = {"user_id": user, "ratings": [{"movie_id": 9, "stars": stars}]}
        answer: httpx.Response = api.client.post(
            "/ratings", json=rating, headers={"Idempotency-Key": key}
        )
        return answer

    first = parsed(post(4, "a-1"), RatingsAck)
    assert (first.stored, first.replayed) == (1, False)
    # A client waits before it retries; meanwhile the user rates the movie again.
    now = time.time()
    monkeypatch.setattr("moovier.serving.ratings.time.time", lambda: now + 100)
    api.rate(new_user, (9, 1))
    monkeypatch.setattr("moovier.serving.ratings.time.time", lambda: now + 200)
    again = parsed(post(4, "a-1"), RatingsAck)
    assert (again.stored, again.ignored, again.replayed) == (1, 0, True)
    assert own_ratings(api, new_user) == [(9, 1.0)]
    assert "key" in error_of(post(5, "a-1"), 409)
    assert own_ratings(api, new_user) == [(9, 1.0)]
    # Another key, and the same key of another user, store ratings.
    assert not parsed(post(5, "a-2"), RatingsAck).replayed
    assert not parsed(post(5, "a-1", next(new_user_ids)), RatingsAck).replayed
    for wrong in ("", "two words", "x" * 201):
        assert "idempotency-key" in error_of(post(4, wrong), 422).casefold()


def test_one_unknown_movie_refuses_all_ratings_of_the_request(
    api: ApiClient, new_user: int
) -> None:
    detail = error_of(api.rate(new_user, (9, 4), (UNKNOWN_MOVIE, 4)), 422)
    assert "unknown movie 2" in detail
    assert own_ratings(api, new_user) == []


def test_one_rating_or_all_ratings_are_deleted(api: ApiClient) -> None:
    user = 10
    known = api.rated[user]
    movie = min(known)
    api.rate(user, (IDS[-1], 4), (IDS[-2], 3))
    assert parsed(
        api.client.delete(f"/ratings?user_id={user}&movie_id={IDS[-1]}"), Deleted
    ) == Deleted(deleted=1)
    assert own_ratings(api, user) == [(IDS[-2], 3.0)]
    # A rating of the data set is not stored here, but no longer counts.
    deleted = parsed(api.client.delete(f"/ratings?user_id={user}&movie_id={movie}"), Deleted)
    assert deleted.deleted == 0
    left = set(ids_of(api.recommend(user_id=user, top_k=28)))
    assert left == (set(IDS) - known - {IDS[-2]}) | {movie}
    assert len(predicted_titles(api, user)) == len(left)
    deleted = parsed(api.client.delete(f"/ratings?user_id={user}"), Deleted)
    assert deleted.deleted == 1
    assert own_ratings(api, user) == []
    page = api.recommend(user_id=user, top_k=28)
    assert set(ids_of(page)) == set(IDS)
    assert {item.source for item in page.items} == {"popular"}
    assert all(item.stars is None for item in page.items)
    answer = api.client.post("/predict", json=[user])
    assert answer.headers["x-moovier-unknown-users"] == str(user)
    # New ratings count again.
    api.rate(user, (9, 5))
    assert {item.source for item in api.recommend(user_id=user).items} == {"model"}


def test_user_unknown_to_every_model_can_rate(api: ApiClient, new_user: int) -> None:
    assert own_ratings(api, new_user) == []
    api.rate(new_user, (1, 4), (7, 2.5))
    assert sorted(own_ratings(api, new_user)) == [(1, 4.0), (7, 2.5)]
    for name in (api.other.name, "stars"):
        page = api.recommend(user_id=new_user, model_name=name, top_k=28)
        assert set(ids_of(page)) == set(IDS) - {1, 7}
        assert {item.source for item in page.items} == {"model"}


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": 0},
        {"user_id": None},
        {"ratings": []},
        {"ratings": [{"movie_id": 9}]},
        {"ratings": [{"movie_id": 9, "stars": 0}]},
        {"ratings": [{"movie_id": 9, "stars": 4.2}]},
        {"ratings": [{"movie_id": 9, "stars": True}]},
        {"ratings": [{"movie_id": 9, "stars": 4, "timestamp": -1}]},
        {"ratings": [{"movie_id": 9, "stars": 4, "timestamp": 1_700_000_000_000}]},
        {"ratings": [{"movie_id": 9, "stars": 4, "when": 1}]},
        {"ratings": [{"movie_id": 9, "stars": 4}] * 5001},
        {"request_id": "two words"},
        {"request_id": ""},
        {"extra": 1},
    ],
    ids=lambda value: str(value)[:60],
)
def test_invalid_ratings_are_not_stored(
    api: ApiClient, new_user: int, change: dict[str, Any]
) -> None:
    given = {"user_id": new_user, "ratings": [{"movie_id": 9, "stars": 4}], **change}
    error_of(api.client.post("/ratings", json=given), 422)
    assert own_ratings(api, new_user) == []


def test_user_id_is_required_and_checked(api: ApiClient) -> None:
    for path in (
        "/ratings",
        "/ratings?user_id=0",
        "/ratings?user_id=x",
        f"/ratings?user_id={2**64}",
    ):
        for method in ("GET", "DELETE"):
            assert "user_id" in error_of(api.client.request(method, path), 422)
    assert "movie_id" in error_of(api.client.delete("/ratings?user_id=1&movie_id=0"), 422)
