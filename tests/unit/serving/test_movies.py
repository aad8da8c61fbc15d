"""Popular, rising and similar movies, search by title, and single movies."""

from __future__ import annotations

import json

import numpy as np
import pytest

from moovier.errors import BadRequest, UnknownMovie
from moovier.serving import movies
from moovier.serving.filters import Filter
from moovier.serving.movies import (
    PageQuery,
    find_titles,
    movie_row,
    one_movie,
    popular_movies,
    require_known_movies,
    search_movies,
    similar_movies,
    trending_movies,
)
from moovier.serving.recommend import PageAnswer
from moovier.serving.recommender import Recommender
from tests.contracts.toy import N_MOVIES
from tests.unit.serving.toy_context import Toy, champion
from tests.unit.serving.toy_users import MOVIES

ID = "e" * 32
RECOMMENDER = champion().recommender


def ids(answer: PageAnswer) -> list[int]:
    return [item["movie_id"] for item in json.loads(answer.body)["items"]]


def test_popular_movies_are_those_with_the_most_ratings(toy: Toy) -> None:
    answer = toy.run(popular_movies(toy.context, PageQuery(top_k=4), None, ID))
    counts = RECOMMENDER.user_recommender.counts
    assert (
        counts[[MOVIES.index(movie) for movie in ids(answer)]].tolist()
        == (sorted(counts.tolist(), reverse=True)[:4])
    )
    content = json.loads(answer.body)
    assert (content["request_id"], content["items"][0]["source"]) == (ID, "popular")
    following = PageQuery(top_k=N_MOVIES, cursor=content["next"])
    rest = toy.run(popular_movies(toy.context, following, None, ID))
    assert sorted(ids(answer) + ids(rest)) == MOVIES


def test_a_list_names_its_window_of_days(toy: Toy) -> None:
    for answer in (
        popular_movies(toy.context, PageQuery(), 30, ID),
        trending_movies(toy.context, PageQuery(), 30, ID),
    ):
        assert json.loads(toy.run(answer).body)["days"] == 30


def test_filters_apply_to_every_list(toy: Toy) -> None:
    query = PageQuery(Filter(("War",)), top_k=N_MOVIES)
    wars = {movie.id for movie in RECOMMENDER.bundle.catalogue if "War" in movie.genres}
    assert set(ids(toy.run(popular_movies(toy.context, query, None, ID)))) == wars
    similar = toy.run(similar_movies(toy.context, MOVIES[0], query, ID))
    assert set(ids(similar)) == wars - {MOVIES[0]}
    with pytest.raises(BadRequest, match="unknown genre"):
        toy.run(popular_movies(toy.context, PageQuery(Filter(("x",))), None, ID))


def test_similar_movies_are_of_the_same_taste(toy: Toy) -> None:
    answer = toy.run(similar_movies(toy.context, MOVIES[9], PageQuery(top_k=5), ID))
    assert set(ids(answer)) <= set(MOVIES[8:16]) - {MOVIES[9]}
    item = json.loads(answer.body)["items"][0]
    assert item["source"] == "similar"
    assert [reason["movie_id"] for reason in item["because"]] == [MOVIES[9]]
    with pytest.raises(UnknownMovie):
        toy.run(similar_movies(toy.context, 9999, PageQuery(), ID))


def test_titles_are_found_page_by_page(toy: Toy) -> None:
    pages, cursor = [], None
    for _ in range(4):
        found, model = toy.run(
            search_movies(toy.context, "movie", PageQuery(top_k=6, cursor=cursor))
        )
        assert model is champion()
        pages.append([item["movie_id"] for item in found["items"]])
        cursor = found["next"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [6, 6, 5]
    assert sorted(movie for page in pages for movie in page) == MOVIES


def test_a_search_is_filtered_and_may_find_nothing(toy: Toy) -> None:
    rows, cursor = find_titles(RECOMMENDER, "movie", PageQuery(Filter(("War",)), N_MOVIES))
    assert rows
    assert all("War" in RECOMMENDER.bundle.catalogue[row].genres for row in rows)
    assert cursor is None
    assert find_titles(RECOMMENDER, "nothing like it", PageQuery()) == ([], None)
    with pytest.raises(BadRequest):
        find_titles(RECOMMENDER, "movie", PageQuery(cursor="nonsense"))


def test_a_page_of_exactly_the_titles_left_has_no_cursor() -> None:
    assert find_titles(RECOMMENDER, "movie", PageQuery(top_k=N_MOVIES))[1] is None
    assert find_titles(RECOMMENDER, "movie", PageQuery(top_k=N_MOVIES - 1))[1] is not None


def test_one_movie_has_its_ratings(toy: Toy) -> None:
    payload, model = toy.run(one_movie(toy.context, MOVIES[3]))
    assert model is champion()
    assert (payload["movie_id"], payload["title"]) == (MOVIES[3], f"Movie {MOVIES[3]}")
    assert payload["ratings"] == int(np.bincount(RECOMMENDER.bundle.histories.movies)[3])
    with pytest.raises(UnknownMovie, match="9999"):
        toy.run(one_movie(toy.context, 9999))


def test_rows_are_found_by_id() -> None:
    assert [movie_row(RECOMMENDER, movie) for movie in MOVIES] == list(range(N_MOVIES))
    for unknown in (MOVIES[0] + 1, 0, -1, 2**62):
        with pytest.raises(UnknownMovie, match=str(unknown)):
            movie_row(RECOMMENDER, unknown)


def test_unknown_movies_are_named_up_to_ten() -> None:
    require_known_movies(RECOMMENDER, [])
    require_known_movies(RECOMMENDER, MOVIES)
    unknown = [9000 + place for place in range(12)]
    with pytest.raises(BadRequest, match=r"unknown movie 9000, .*, 9009; GET /movies"):
        require_known_movies(RECOMMENDER, [MOVIES[0], *unknown])


def test_memory_is_returned_after_a_model_was_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bool] = []
    monkeypatch.setattr(movies, "return_free_memory", lambda: calls.append(True))
    recommender = Recommender(RECOMMENDER.bundle, scorer=RECOMMENDER.scorer)
    for _ in range(3):
        movies.prepare(recommender)
    assert movies.is_prepared(recommender)
    assert calls == [True]
