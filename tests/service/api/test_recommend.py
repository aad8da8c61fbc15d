"""`/recommend`: lists for users and visitors."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from bentos.schemas.pages import Recommendations
from bentos.schemas.recommend import RecommendRequest
from moovier.serving.page_builder import resolve_user
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.fixtures import TITLED_USERS as USERS
from tests.fixtures import genres_of as genres
from tests.service.api.client import (
    JSON,
    UNKNOWN_MOVIE,
    ApiClient,
    error_of,
    ids_of,
    parsed,
)


def test_known_user_gets_movies_with_stars_source_and_reasons(api: ApiClient) -> None:
    page = api.recommend(user_id=1, top_k=5)
    assert (page.model, page.model_version) == (api.champion.name, api.champion.number)
    assert len(page.items) == 5
    assert not set(ids_of(page)) & api.rated[1]
    assert [item.score for item in page.items] == sorted(
        (item.score for item in page.items), reverse=True
    )
    for item in page.items:
        assert item.source == "model"
        assert item.stars is not None
        assert 0.5 <= item.stars <= 5
        assert item.stars == round(item.stars, 2)
        assert {reason.movie_id for reason in item.because} <= api.rated[1]
        assert item.movie["title"]
    # The user likes science fiction.
    first = page.items[0]
    assert "Sci-Fi" in genres(first.movie_id)
    assert first.because
    assert all("Sci-Fi" in genres(reason.movie_id) for reason in first.because)


def test_stars_are_predicted_by_the_rating_model(api: ApiClient) -> None:
    model = api.context.model_store.stars
    assert model is not None
    assert model.number == api.rating_model.number
    bundle = model.recommender.bundle
    scorer = model.recommender._scorer
    row = int(bundle.index.user_rows(np.array([4]))[0])
    expected = scorer.score(np.array([row]), bundle.histories)[0]
    for item in api.recommend(user_id=4, top_k=20).items:
        movie = int(bundle.index.movie_rows(np.array([item.movie_id]))[0])
        assert item.stars == pytest.approx(float(np.clip(expected[movie], 0.5, 5)), abs=0.0051)


def test_visitor_with_ratings_gets_a_personal_list(api: ApiClient) -> None:
    movies = {str(id_): 5 for id_ in IDS if "Sci-Fi" in genres(id_)}
    page = api.recommend(ratings=dict(list(movies.items())[:5]), top_k=4)
    assert {item.source for item in page.items} == {"model"}
    assert all(item.stars is not None for item in page.items)
    assert not set(ids_of(page)) & {int(id_) for id_ in list(movies)[:5]}
    assert "Sci-Fi" in genres(page.items[0].movie_id)
    # An unknown movie changes nothing.
    more = {**dict(list(movies.items())[:5]), str(UNKNOWN_MOVIE): 1}
    assert ids_of(api.recommend(ratings=more, top_k=4)) == ids_of(page)


def test_ratings_of_the_request_count_on_top_of_the_users_history(api: ApiClient) -> None:
    # A user who likes comedies now rates science fiction.
    comedies = api.recommend(user_id=2, top_k=10)
    liked = [id_ for id_ in IDS if "Sci-Fi" in genres(id_) and id_ not in api.rated[2]][:4]
    both = api.recommend(user_id=2, ratings={str(id_): 5 for id_ in liked}, top_k=28)
    assert not set(ids_of(both)) & (api.rated[2] | set(liked))
    assert ids_of(both)[:10] != ids_of(comedies)
    assert any(r.movie_id in liked for item in both.items for r in item.because)
    # The ratings are not stored.
    assert ids_of(api.recommend(user_id=2, top_k=10)) == ids_of(comedies)


def test_unknown_user_gets_popular_movies(api: ApiClient, new_user: int) -> None:
    by_count = sorted(IDS, key=lambda id_: (-api.counts[id_], id_))
    fields: dict[str, Any]
    for fields in (
        {},
        {"user_id": new_user},
        {"ratings": {}},
        {"user_id": None, "ratings": None},
        {"ratings": {str(UNKNOWN_MOVIE): 4}},
    ):
        page = api.recommend(**fields, top_k=7)
        assert ids_of(page) == by_count[:7]
        assert {item.source for item in page.items} == {"popular"}
        assert all(item.stars is None and item.because == [] for item in page.items)


@pytest.mark.parametrize("genre", ["sci-fi", "SCI-FI", "Sci-Fi"])
def test_genre_filter_ignores_case(api: ApiClient, genre: str) -> None:
    passing = {id_ for id_ in IDS if "Sci-Fi" in genres(id_)}
    page = api.recommend(user_id=2, genres=[genre], top_k=6)
    assert len(page.items) == 6
    assert set(ids_of(page)) <= passing - api.rated[2]
    several = api.all_pages(user_id=2, genres=[genre, "musical"])
    assert {movie for page in several for movie in ids_of(page)} == {
        id_ for id_ in IDS if genres(id_) & {"Sci-Fi", "Musical"}
    } - api.rated[2]


def test_year_filter_is_inclusive(api: ApiClient) -> None:
    def year(id_: int) -> int | None:
        title = MOVIES[id_ // 2][0]
        return int(title[-5:-1]) if title.endswith(")") else None

    for first, last in ((1995, 1995), (None, 1979), (1999, None), (1972, 1990)):
        fields = {"year_from": first, "year_to": last}
        shown = {movie for page in api.all_pages(user_id=3, **fields) for movie in ids_of(page)}
        expected = {
            id_
            for id_ in IDS
            if (at := year(id_)) is not None and (first or 0) <= at <= (last or 9999)
        }
        assert shown == expected - api.rated[3]
        assert shown


def test_excluded_movies_are_on_no_page(api: ApiClient) -> None:
    excluded = ids_of(api.recommend(user_id=5, top_k=3))
    pages = api.all_pages(user_id=5, exclude=[*excluded, UNKNOWN_MOVIE], top_k=4)
    shown = [movie for page in pages for movie in ids_of(page)]
    assert set(shown) == set(IDS) - api.rated[5] - set(excluded)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("more", [{}, {"genres": ["Drama", "Comedy"], "year_from": 1979}])
def test_pages_contain_each_unseen_movie_once(
    api: ApiClient, size: int, more: dict[str, Any]
) -> None:
    # Other tests delete or add ratings of some users.
    unchanged = [user for user in USERS if api.context.feedback.for_user(user) is None]
    assert len(unchanged) > 3
    for user in unchanged if size == 3 else unchanged[:3]:
        pages = api.all_pages(user_id=user, top_k=size, **more)
        assert all(len(page.items) == size for page in pages[:-1])
        shown = [movie for page in pages for movie in ids_of(page)]
        assert len(shown) == len(set(shown))
        assert not set(shown) & api.rated[user]
        if not more:
            assert set(shown) == set(IDS) - api.rated[user]
        scores = [item.score for page in pages for item in page.items]
        assert scores == sorted(scores, reverse=True)


def test_pages_repeat_no_movie_when_the_list_changes_between_them(
    api: ApiClient, new_user: int
) -> None:
    api.rate(new_user, (1, 5), (3, 4))
    first = api.recommend(user_id=new_user, top_k=5)
    new = next(id_ for id_ in IDS if id_ not in {1, 3, *ids_of(first)})
    api.rate(new_user, (ids_of(first)[0], 0.5), (new, 5))
    second = api.recommend(user_id=new_user, top_k=5, cursor=first.next)
    third = api.recommend(user_id=new_user, top_k=28, cursor=second.next, model_name=api.other.name)
    assert third.next is None
    shown = ids_of(first) + ids_of(second) + ids_of(third)
    assert len(shown) == len(set(shown))
    assert set(shown) == set(IDS) - {1, 3, new}


def test_each_response_has_a_unique_request_id(api: ApiClient) -> None:
    request_ids = {api.recommend(user_id=1, top_k=1).request_id for _ in range(20)}
    assert len(request_ids) == 20


def test_model_name_can_be_a_name_number_or_alias(api: ApiClient) -> None:
    names = (api.other.name, f"{api.other.name}.h5", str(api.other.number))
    pages = [api.recommend(user_id=1, top_k=9, model_name=name) for name in names]
    for page in pages:
        assert (page.model, page.model_version) == (api.other.name, api.other.number)
        assert ids_of(page) == ids_of(pages[0])
    by_stars = api.recommend(user_id=1, model_name="stars")
    assert by_stars.model == api.rating_model.name
    for name in ("champion", api.champion.name, "", None):
        assert api.recommend(user_id=1, model_name=name).model == api.champion.name


def test_unknown_model_error_lists_the_models(api: ApiClient) -> None:
    answer = api.client.post("/recommend", json={"user_id": 1, "model_name": "nope"})
    detail = error_of(answer, 404)
    for version in (api.champion, api.other, api.rating_model):
        assert version.name in detail


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"genres": ["Sci-Fy"]}, "unknown genre 'Sci-Fy'; the genres are Action, Adventure"),
        ({"genres": ["(no genres listed)"]}, "unknown genre"),
        ({"genres": [""]}, "genres.0"),
        ({"genres": "Drama"}, "genres"),
        ({"genres": ["Drama"] * 51}, "genres"),
        ({"year_from": 2000, "year_to": 1999}, "year_from 2000 is after year_to 1999"),
        ({"year_from": 20_000}, "year_from"),
        ({"top_k": 0}, "top_k"),
        ({"top_k": 101}, "top_k"),
        ({"top_k": 2.5}, "top_k"),
        ({"user_id": 0}, "user_id"),
        ({"user_id": "1"}, "user_id"),
        ({"user_id": 2**64}, "user_id"),
        ({"ratings": {"1": 5.5}}, "ratings.1"),
        ({"ratings": {"1": 0}}, "ratings.1"),
        ({"ratings": {"1": 3.3}}, "ratings.1"),
        ({"ratings": {"1": True}}, "ratings.1"),
        ({"ratings": {"1": "5"}}, "ratings.1"),
        ({"ratings": {"1": None}}, "ratings.1"),
        ({"ratings": {"one": 5}}, "ratings"),
        ({"ratings": {"-1": 5}}, "ratings"),
        ({"ratings": [1, 5]}, "body.ratings.0"),
        ({"ratings": "5"}, "body.ratings: give a list of objects with movie_id and stars"),
        ({"ratings": 5}, "body.ratings: give a list of objects with movie_id and stars"),
        ({"ratings": [{"movie_id": 1}]}, "body.ratings.0.stars: Field required"),
        ({"ratings": [{"stars": 5}]}, "body.ratings.0.movie_id: Field required"),
        ({"ratings": [{"movie_id": "1", "stars": 5}]}, "body.ratings.0.movie_id"),
        ({"ratings": [{"movie_id": 0, "stars": 5}]}, "body.ratings.0.movie_id"),
        ({"ratings": [{"movie_id": 1, "stars": 5.5}]}, "body.ratings.0.stars"),
        ({"ratings": [{"movie_id": 1, "stars": 5, "when": 1}]}, "body.ratings.0.when"),
        ({"ratings": [{"movie_id": 1, "stars": 5, "timestamp": -1}]}, "ratings.0.timestamp"),
        ({"ratings": [{"movie_id": 1, "stars": 5, "timestamp": 2**32}]}, "ratings.0.timestamp"),
        (
            {"ratings": [{"movie_id": 7, "stars": 5}, {"movie_id": 7, "stars": 4}]},
            "body.ratings: movie 7 is in the list more than once",
        ),
        ({"ratings": [{"movie_id": i, "stars": 5} for i in range(1, 5002)]}, "ratings"),
        ({"ratings": {str(i): 5 for i in range(1, 5002)}}, "ratings"),
        ({"exclude": [0]}, "exclude.0"),
        ({"exclude": [None]}, "exclude.0"),
        ({"exclude": list(range(1, 10_002))}, "exclude"),
        ({"cursor": "garbage!"}, "cursor"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "é"}, "cursor"),
        ({"cursor": "A" * 900_001}, "cursor"),
        ({"cursor": 7}, "cursor"),
        ({"model_name": "x" * 201}, "model_name"),
        ({"genre": "Drama"}, "genre"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_invalid_request_gets_422_with_the_field(
    api: ApiClient, fields: dict[str, Any], says: str
) -> None:
    answer = api.client.post("/recommend", json={"user_id": 1, **fields})
    assert says in error_of(answer, 422)


def test_list_and_object_of_ratings_are_equivalent_in_any_order(api: ApiClient) -> None:
    given = dict(zip(IDS[:9], (5, 0.5, 4, 3, 4.5, 1, 2.5, 3.5, 5), strict=True))
    random = np.random.default_rng(0)
    for name in (api.champion.name, api.other.name, api.rating_model.name):
        bodies = []
        for _ in range(20):
            order = random.permutation(list(given)).tolist()
            rows = [{"movie_id": id_, "stars": given[id_]} for id_ in order]
            for ratings in (rows, {str(id_): given[id_] for id_ in order}):
                text = json.dumps({"ratings": ratings, "top_k": 15, "model_name": name})
                answer = api.client.post("/recommend", content=text, headers=JSON)
                assert answer.status_code == 200, answer.text
                bodies.append(answer.content[answer.content.index(b'"items"') :])
        assert len(set(bodies)) == 1


def test_timestamps_of_ratings_order_the_history(api: ApiClient) -> None:
    assignment = api.context.model_store.assignment(None, ())
    assert assignment is not None
    user_recommender = assignment.model.recommender.user_recommender
    dated = [(7, 5, 10**9), (9, 5, 10**9 + 5), (1, 4, None)]
    ratings = [
        {"movie_id": movie, "stars": stars, **({} if at is None else {"timestamp": at})}
        for movie, stars, at in dated
    ]
    request = RecommendRequest.model_validate({"ratings": ratings}).to_request()
    history = resolve_user(user_recommender, request, api.context.feedback).history
    assert user_recommender._bundle.index.movies[history.movies].tolist() == [7, 9, 1]
    assert history.timestamps[:2].tolist() == [10**9, 10**9 + 5]
    assert 0 <= time.time() - history.timestamps[2] < 2 * 86_400
    parsed(api.client.post("/recommend", json={"ratings": ratings}), Recommendations)


def test_ratings_without_timestamps_are_the_newest(api: ApiClient) -> None:
    assignment = api.context.model_store.assignment(None, ())
    assert assignment is not None
    user_recommender = assignment.model.recommender.user_recommender
    now = int(time.time())
    ratings = [{"movie_id": 1, "stars": 5}, {"movie_id": 7, "stars": 4, "timestamp": now - 1}]
    request = RecommendRequest.model_validate({"ratings": ratings}).to_request()
    history = resolve_user(user_recommender, request, api.context.feedback).history
    assert int(history.timestamps.min()) == now - 1
    assert int(history.timestamps.max()) == now - 1


@pytest.mark.parametrize("form", ["object", "list"])
def test_one_disliked_movie_still_gives_a_full_page(api: ApiClient, form: str) -> None:
    for movie in IDS[:6]:
        ratings = {str(movie): 0.5} if form == "object" else [{"movie_id": movie, "stars": 0.5}]
        page = api.recommend(ratings=ratings, top_k=10)
        assert len(page.items) == 10
        assert movie not in ids_of(page)
        assert {item.source for item in page.items} <= {"model", "popular"}
        # No movie was liked, so there is no reason.
        assert [item.because for item in page.items] == [[]] * 10


def test_reasons_are_liked_movies(api: ApiClient) -> None:
    disliked = {str(movie): 1.0 for movie in IDS[:4]}
    liked = {str(movie): 5.0 for movie in IDS[4:8]}
    for name in (api.champion.name, api.other.name, api.rating_model.name):
        page = api.recommend(ratings={**disliked, **liked}, model_name=name)
        reasons = {reason.movie_id for item in page.items for reason in item.because}
        assert reasons <= set(IDS[4:8])


def test_variety_reorders_the_page_and_pages_never_repeat(api: ApiClient) -> None:
    plain = ids_of(api.recommend(user_id=1, top_k=5))
    varied = api.recommend(user_id=1, top_k=5, diversity=0.8)
    assert ids_of(varied) != plain
    shown = set(ids_of(varied))
    second = api.recommend(user_id=1, top_k=5, diversity=0.8, cursor=varied.next)
    assert not shown & set(ids_of(second))
    assert not set(ids_of(varied)) & api.rated[1]


@pytest.mark.parametrize(
    "body", [{"diversity": 1.5}, {"novelty": -0.1}, {"diversity": "0.5"}, {"max_per_series": 0}]
)
def test_variety_out_of_range_is_refused(api: ApiClient, body: dict[str, Any]) -> None:
    response = api.client.post("/recommend", json={"user_id": 1, **body})
    assert error_of(response, 422)
