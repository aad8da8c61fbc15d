"""What people ask for, in this process: real models from a real MLflow, a real database."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel
from starlette.types import Message, Receive, Scope, Send

from bentos import lists, schemas
from bentos.lane import FastPath
from moovier.data.movielens import read_movielens, to_arrays
from moovier.jobs.registration import open_registry
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import TITLED_MOVIES as MOVIES
from tests.fixtures import TITLED_USERS as USERS
from tests.fixtures import genres_of as genres
from tests.fixtures import titled_movielens
from tests.registry_fixtures import register_trained
from tests.servers import Server, free_port
from tests.service.conftest import own_settings, promote
from tests.service.test_api import answered_by, started

Model = TypeVar("Model", bound=BaseModel)
#: Nobody that a model knows, and nobody twice.
_strangers = itertools.count(1_000_000)
UNKNOWN_MOVIE = 2
JSON = {"Content-Type": "application/json"}


@dataclass
class World:
    """A service on three trained models: one for lists, another one, and one for stars."""

    client: TestClient
    settings: Settings
    champion: Version
    other: Version
    stars: Version
    #: Movie ids that each user rated.
    rated: dict[int, set[int]]
    #: Ratings of each movie.
    counts: dict[int, int]

    @property
    def app(self) -> FastAPI:
        app: FastAPI = self.client.app  # type: ignore[assignment]
        return app

    def recommend(self, **asked: Any) -> schemas.Recommendations:
        return told(self.client.post("/recommend", json=asked), schemas.Recommendations)

    def rate(self, user: int, *ratings: tuple[int, float], **more: Any) -> httpx.Response:
        given = [{"movie_id": movie, "stars": stars} for movie, stars in ratings]
        answer: httpx.Response = self.client.post(
            "/ratings", json={"user_id": user, "ratings": given, **more}
        )
        return answer


def told(answer: httpx.Response, model: type[Model]) -> Model:
    """A good answer, as its declared type, which has nothing beside what is declared."""
    assert answer.status_code == 200, answer.text
    made = model.model_validate_json(answer.content, extra="forbid")
    assert len(answer.headers["x-request-id"]) == 32
    if isinstance(made, schemas.Recommendations):
        assert made.request_id == answer.headers["x-request-id"]
        assert made.model == answer.headers["x-moovier-model"]
        assert str(made.model_version) == answer.headers["x-moovier-model-version"]
    return made


def refused(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.json().keys() == {"detail"}
    assert "Traceback" not in answer.text
    return str(answer.json()["detail"])


@pytest.fixture(scope="module")
def world(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("people")
    settings = own_settings(mlflow, folder / "home")
    data = titled_movielens(folder / "data")
    champion, other, stars = (
        register_trained(settings, folder, data, name, size)
        for name, size in (("timeline", 8), ("ease", 1), ("taste", 2))
    )
    promote(settings, champion)
    open_registry(settings).set_rating_model(stars)
    index, ratings, _ = to_arrays(read_movielens(data))
    rated: dict[int, set[int]] = {}
    counts = dict.fromkeys(IDS, 0)
    for user, movie in zip(ratings.users, ratings.movies, strict=True):
        rated.setdefault(int(index.users[user]), set()).add(int(index.movies[movie]))
        counts[int(index.movies[movie])] += 1
    with started(settings) as client:
        # The first look at the registry loads all that is needed.
        assert answered_by(client, champion.name)
        yield World(client, settings, champion, other, stars, rated, counts)


@pytest.fixture
def stranger() -> int:
    return next(_strangers)


def ids(page: schemas.Recommendations) -> list[int]:
    return [item.movie_id for item in page.items]


def all_pages(world: World, **asked: Any) -> list[schemas.Recommendations]:
    pages = [world.recommend(**asked)]
    while pages[-1].next is not None:
        assert len(pages) <= len(IDS)
        pages.append(world.recommend(**asked, cursor=pages[-1].next))
    return pages


# --- /recommend


def test_a_user_by_id_gets_a_list_with_stars_source_and_reasons(world: World) -> None:
    page = world.recommend(user_id=1, top_k=5)
    assert (page.model, page.model_version) == (world.champion.name, world.champion.number)
    assert len(page.items) == 5
    assert not set(ids(page)) & world.rated[1]
    assert [item.score for item in page.items] == sorted(
        (item.score for item in page.items), reverse=True
    )
    for item in page.items:
        assert item.source == "model"
        assert item.stars is not None
        assert 0.5 <= item.stars <= 5
        assert item.stars == round(item.stars, 2)
        assert {reason.movie_id for reason in item.because} <= world.rated[1]
        assert item.movie["title"]
    # What a lover of science fiction gets first, and why.
    first = page.items[0]
    assert "Sci-Fi" in genres(first.movie_id)
    assert first.because
    assert all("Sci-Fi" in genres(reason.movie_id) for reason in first.because)


def test_stars_are_what_the_model_of_stars_says(world: World) -> None:
    model = world.app.state.model_store.stars
    assert model.number == world.stars.number
    bundle = model.recommender.bundle
    scorer = model.recommender._scorer
    row = int(bundle.index.user_rows(np.array([4]))[0])
    expected = scorer.score(np.array([row]), bundle.histories)[0]
    for item in world.recommend(user_id=4, top_k=20).items:
        movie = int(bundle.index.movie_rows(np.array([item.movie_id]))[0])
        assert item.stars == pytest.approx(float(np.clip(expected[movie], 0.5, 5)), abs=0.0051)


def test_ratings_alone_make_a_list(world: World) -> None:
    films = {str(id_): 5 for id_ in IDS if "Sci-Fi" in genres(id_)}
    page = world.recommend(ratings=dict(list(films.items())[:5]), top_k=4)
    assert {item.source for item in page.items} == {"model"}
    assert all(item.stars is not None for item in page.items)
    assert not set(ids(page)) & {int(id_) for id_ in list(films)[:5]}
    assert "Sci-Fi" in genres(page.items[0].movie_id)
    # A movie that nobody knows changes nothing.
    more = {**dict(list(films.items())[:5]), str(UNKNOWN_MOVIE): 1}
    assert ids(world.recommend(ratings=more, top_k=4)) == ids(page)


def test_ratings_count_on_top_of_what_is_known_of_a_user(world: World) -> None:
    # Somebody who likes comedies has just watched three westerns of the other kind.
    comedies = world.recommend(user_id=2, top_k=10)
    liked = [id_ for id_ in IDS if "Sci-Fi" in genres(id_) and id_ not in world.rated[2]][:4]
    both = world.recommend(user_id=2, ratings={str(id_): 5 for id_ in liked}, top_k=28)
    assert not set(ids(both)) & (world.rated[2] | set(liked))
    assert ids(both)[:10] != ids(comedies)
    assert any(r.movie_id in liked for item in both.items for r in item.because)
    # Nothing of it is kept.
    assert ids(world.recommend(user_id=2, top_k=10)) == ids(comedies)


def test_whom_nothing_is_known_of_gets_what_is_popular(world: World, stranger: int) -> None:
    by_count = sorted(IDS, key=lambda id_: (-world.counts[id_], id_))
    asked: dict[str, Any]
    for asked in (
        {},
        {"user_id": stranger},
        {"ratings": {}},
        {"user_id": None, "ratings": None},
        {"ratings": {str(UNKNOWN_MOVIE): 4}},
    ):
        page = world.recommend(**asked, top_k=7)
        assert ids(page) == by_count[:7]
        assert {item.source for item in page.items} == {"popular"}
        assert all(item.stars is None and item.because == [] for item in page.items)


@pytest.mark.parametrize("wanted", ["sci-fi", "SCI-FI", "Sci-Fi"])
def test_a_genre_however_it_is_written_fills_the_page(world: World, wanted: str) -> None:
    passing = {id_ for id_ in IDS if "Sci-Fi" in genres(id_)}
    page = world.recommend(user_id=2, genres=[wanted], top_k=6)
    assert len(page.items) == 6
    assert set(ids(page)) <= passing - world.rated[2]
    several = all_pages(world, user_id=2, genres=[wanted, "musical"])
    assert {movie for one in several for movie in ids(one)} == {
        id_ for id_ in IDS if genres(id_) & {"Sci-Fi", "Musical"}
    } - world.rated[2]


def test_years_are_inclusive(world: World) -> None:
    def year(id_: int) -> int | None:
        title = MOVIES[id_ // 2][0]
        return int(title[-5:-1]) if title.endswith(")") else None

    for first, last in ((1995, 1995), (None, 1979), (1999, None), (1972, 1990)):
        asked = {"year_from": first, "year_to": last}
        found = {movie for page in all_pages(world, user_id=3, **asked) for movie in ids(page)}
        expected = {
            id_
            for id_ in IDS
            if (at := year(id_)) is not None and (first or 0) <= at <= (last or 9999)
        }
        assert found == expected - world.rated[3]
        assert found


def test_what_is_excluded_stays_out_on_every_page(world: World) -> None:
    out = ids(world.recommend(user_id=5, top_k=3))
    pages = all_pages(world, user_id=5, exclude=[*out, UNKNOWN_MOVIE], top_k=4)
    shown = [movie for page in pages for movie in ids(page)]
    assert set(shown) == set(IDS) - world.rated[5] - set(out)


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("more", [{}, {"genres": ["Drama", "Comedy"], "year_from": 1979}])
def test_the_pages_hold_each_movie_once_for_everybody(
    world: World, size: int, more: dict[str, Any]
) -> None:
    for user in USERS if size == 3 else USERS[:3]:
        pages = all_pages(world, user_id=user, top_k=size, **more)
        assert all(len(page.items) == size for page in pages[:-1])
        shown = [movie for page in pages for movie in ids(page)]
        assert len(shown) == len(set(shown))
        assert not set(shown) & world.rated[user]
        if not more:
            assert set(shown) == set(IDS) - world.rated[user]
        scores = [item.score for page in pages for item in page.items]
        assert scores == sorted(scores, reverse=True)


def test_pages_repeat_nothing_though_the_list_changes_between_them(
    world: World, stranger: int
) -> None:
    world.rate(stranger, (1, 5), (3, 4))
    first = world.recommend(user_id=stranger, top_k=5)
    new = next(id_ for id_ in IDS if id_ not in {1, 3, *ids(first)})
    world.rate(stranger, (ids(first)[0], 0.5), (new, 5))
    second = world.recommend(user_id=stranger, top_k=5, cursor=first.next)
    third = world.recommend(
        user_id=stranger, top_k=28, cursor=second.next, model_name=world.other.name
    )
    assert third.next is None
    shown = ids(first) + ids(second) + ids(third)
    assert len(shown) == len(set(shown))
    assert set(shown) == set(IDS) - {1, 3, new}


def test_each_answer_has_an_id_of_its_own(world: World) -> None:
    found = {world.recommend(user_id=1, top_k=1).request_id for _ in range(20)}
    assert len(found) == 20


def test_another_model_answers_by_name_number_and_alias(world: World) -> None:
    names = (world.other.name, f"{world.other.name}.h5", str(world.other.number))
    pages = [world.recommend(user_id=1, top_k=9, model_name=name) for name in names]
    for page in pages:
        assert (page.model, page.model_version) == (world.other.name, world.other.number)
        assert ids(page) == ids(pages[0])
    by_stars = world.recommend(user_id=1, model_name="stars")
    assert by_stars.model == world.stars.name
    for name in ("champion", world.champion.name, "", None):
        assert world.recommend(user_id=1, model_name=name).model == world.champion.name


def test_an_unknown_model_is_told_those_there_are(world: World) -> None:
    answer = world.client.post("/recommend", json={"user_id": 1, "model_name": "nope"})
    detail = refused(answer, 404)
    for version in (world.champion, world.other, world.stars):
        assert version.name in detail


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"genres": ["Sci-Fy"]}, "unknown genre 'Sci-Fy'; there are Action, Adventure"),
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
def test_what_makes_no_sense_is_told_so(world: World, asked: dict[str, Any], says: str) -> None:
    answer = world.client.post("/recommend", json={"user_id": 1, **asked})
    assert says in refused(answer, 422)


def test_list_and_object_of_ratings_mean_the_same_in_any_order(world: World) -> None:
    given = dict(zip(IDS[:9], (5, 0.5, 4, 3, 4.5, 1, 2.5, 3.5, 5), strict=True))
    random = np.random.default_rng(0)
    for name in (world.champion.name, world.other.name, world.stars.name):
        bodies = []
        for _ in range(20):
            order = random.permutation(list(given)).tolist()
            rows = [{"movie_id": id_, "stars": given[id_]} for id_ in order]
            for ratings in (rows, {str(id_): given[id_] for id_ in order}):
                text = json.dumps({"ratings": ratings, "top_k": 15, "model_name": name})
                answer = world.client.post("/recommend", content=text, headers=JSON)
                assert answer.status_code == 200, answer.text
                bodies.append(answer.content[answer.content.index(b'"items"') :])
        assert len(set(bodies)) == 1


def test_timestamps_of_ratings_are_used(world: World) -> None:
    """Recent science fiction and old comedies are another person than the other way round."""
    people = world.app.state.model_store.assignment(None, ()).model.recommender.people
    dated = [(7, 5, 10**9), (9, 5, 10**9 + 5), (1, 4, None)]
    ratings = [
        {"movie_id": movie, "stars": stars, **({} if at is None else {"timestamp": at})}
        for movie, stars, at in dated
    ]
    asked = schemas.RecommendRequest.model_validate({"ratings": ratings})
    history = lists.resolve_user(people, asked, world.app.state.feedback).history
    assert people._bundle.index.movies[history.movies].tolist() == [7, 9, 1]
    assert history.timestamps[:2].tolist() == [10**9, 10**9 + 5]
    assert 0 <= time.time() - history.timestamps[2] < 2 * 86_400
    told(world.client.post("/recommend", json={"ratings": ratings}), schemas.Recommendations)


def test_ratings_without_timestamps_are_the_newest(world: World) -> None:
    people = world.app.state.model_store.assignment(None, ()).model.recommender.people
    now = int(time.time())
    ratings = [{"movie_id": 1, "stars": 5}, {"movie_id": 7, "stars": 4, "timestamp": now - 1}]
    asked = schemas.RecommendRequest.model_validate({"ratings": ratings})
    history = lists.resolve_user(people, asked, world.app.state.feedback).history
    assert int(history.timestamps.min()) == now - 1
    assert int(history.timestamps.max()) == now - 1


@pytest.mark.parametrize("form", ["object", "list"])
def test_single_disliked_movie_still_fills_the_page(world: World, form: str) -> None:
    for movie in IDS[:6]:
        ratings = {str(movie): 0.5} if form == "object" else [{"movie_id": movie, "stars": 0.5}]
        page = world.recommend(ratings=ratings, top_k=10)
        assert len(page.items) == 10
        assert movie not in ids(page)
        assert {item.source for item in page.items} <= {"model", "popular"}
        # Nothing was liked, so nothing is a reason.
        assert [item.because for item in page.items] == [[]] * 10


def test_reasons_are_liked_movies(world: World) -> None:
    disliked = {str(movie): 1.0 for movie in IDS[:4]}
    liked = {str(movie): 5.0 for movie in IDS[4:8]}
    for name in (world.champion.name, world.other.name, world.stars.name):
        page = world.recommend(ratings={**disliked, **liked}, model_name=name)
        reasons = {reason.movie_id for item in page.items for reason in item.because}
        assert reasons <= set(IDS[4:8])


# --- Movies


def found(world: World, **query: Any) -> list[str]:
    page = told(world.client.get("/movies", params=query), schemas.MoviePage)
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
def test_movies_are_found_by_words_of_their_titles(
    world: World, query: str, titles: set[str]
) -> None:
    assert set(found(world, query=query)) == titles


def test_found_movies_are_filtered_and_come_in_pages(world: World) -> None:
    seen: list[schemas.MovieShown] = []
    after: str | None = None
    for _ in IDS:
        query = {"genres": ["Sci-Fi", "musical"], "year_to": 1999, "top_k": 4}
        if after is not None:
            query["cursor"] = after
        page = told(world.client.get("/movies", params=query), schemas.MoviePage)
        seen += page.items
        after = page.next
        if after is None:
            break
        assert len(page.items) == 4
    expected = {
        id_
        for id_ in IDS
        if genres(id_) & {"Sci-Fi", "Musical"} and MOVIES[id_ // 2][0] != "Babylon 5"
    }
    assert [item.movie_id for item in seen] == list(dict.fromkeys(item.movie_id for item in seen))
    assert {item.movie_id for item in seen} == expected
    # Without words the most rated come first.
    assert [item.ratings for item in seen] == sorted(
        (world.counts[id_] for id_ in expected), reverse=True
    )


def test_one_movie_with_what_people_did_with_it(world: World) -> None:
    shown = told(world.client.get("/movies/7"), schemas.MovieShown)
    assert (shown.title, shown.year) == ("The Matrix", 1999)
    assert shown.genres == ["Action", "Sci-Fi", "Thriller"]
    assert shown.ratings == world.counts[7]
    assert shown.mean_stars is not None
    assert shown.movie["title"] == "The Matrix"
    nobody = told(world.client.get(f"/movies/{IDS[-1]}"), schemas.MovieShown)
    assert (nobody.ratings, nobody.mean_stars) == (0, None)


def test_similar_movies_are_of_its_kind_and_not_itself(world: World) -> None:
    page = told(
        world.client.get("/movies/23/similar", params={"top_k": 3}), schemas.Recommendations
    )
    assert {item.source for item in page.items} == {"similar"}
    assert all("Sci-Fi" in genres(id_) for id_ in ids(page))
    assert {reason.movie_id for item in page.items for reason in item.because} == {23}
    shown = ids(page)
    for _ in IDS:
        if page.next is None:
            break
        query = {"top_k": 5, "cursor": page.next}
        page = told(world.client.get("/movies/23/similar", params=query), schemas.Recommendations)
        shown += ids(page)
    assert sorted(shown) == [id_ for id_ in IDS if id_ != 23]


def test_popular_movies_by_ratings_with_the_same_filters(world: World) -> None:
    def popular(**query: Any) -> schemas.Recommendations:
        return told(world.client.get("/popular", params=query), schemas.Recommendations)

    by_count = sorted(IDS, key=lambda id_: (-world.counts[id_], id_))
    first = popular(top_k=20)
    assert ids(first) == by_count[:20]
    assert {item.source for item in first.items} == {"popular"}
    second = popular(top_k=20, cursor=first.next)
    assert ids(second) == by_count[20:]
    assert second.next is None
    dramas = [id_ for id_ in by_count if "Drama" in genres(id_)]
    assert ids(popular(genres="drama", top_k=3)) == dramas[:3]
    assert ids(popular(year_from=1995, year_to=1995, top_k=100)) == [
        id_ for id_ in by_count if "(1995)" in MOVIES[id_ // 2][0]
    ]


def test_popular_movies_of_the_last_days_come_first(world: World) -> None:
    index, ratings, _ = to_arrays(read_movielens(world.settings.home.parent / "data"))
    moments, newest = ratings.timestamps, int(ratings.timestamps.max())
    for days in (1, 3, 36_500):
        recent = np.bincount(ratings.movies[moments > newest - days * 86_400], minlength=len(IDS))
        expected = sorted(IDS, key=lambda id_: (-recent[IDS.index(id_)], -world.counts[id_], id_))
        page = told(
            world.client.get("/popular", params={"days": days, "top_k": 28}),
            schemas.Recommendations,
        )
        assert (ids(page), page.days) == (expected, days)
        first = told(
            world.client.get("/popular", params={"days": days, "top_k": 10}),
            schemas.Recommendations,
        )
        query = {"days": days, "top_k": 18, "cursor": first.next}
        rest = told(world.client.get("/popular", params=query), schemas.Recommendations)
        assert ids(first) + ids(rest) == expected
    assert told(world.client.get("/popular"), schemas.Recommendations).days is None
    assert index.movies.tolist() == list(IDS)


@pytest.mark.parametrize("days", ["0", "-1", "36501", "1.5", "", "week"])
def test_a_window_out_of_bounds_is_refused(world: World, days: str) -> None:
    assert "days" in refused(world.client.get(f"/popular?days={days}"), 422)


@pytest.mark.parametrize("path", ["/movies", "/popular", "/movies/1/similar"])
@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("genres=Sci-Fy", "there are Action, Adventure"),
        ("genres=", "genres"),
        ("year_from=1999&year_to=1998", "year_from 1999 is after year_to 1998"),
        ("top_k=0", "top_k"),
        ("top_k=101", "top_k"),
        ("cursor=x", "cursor"),
        ("cursor=%FF%00", "cursor"),
    ],
)
def test_a_list_of_movies_that_makes_no_sense(
    world: World, path: str, query: str, says: str
) -> None:
    assert says in refused(world.client.get(f"{path}?{query}"), 422)


def test_a_movie_that_there_is_not(world: World) -> None:
    for path in ("/movies/2", "/movies/2/similar", "/movies/999999999999"):
        assert "GET /movies finds ids" in refused(world.client.get(path), 404)
    for path in ("/movies/0", "/movies/x", "/movies/-1/similar", f"/movies/{2**64}"):
        refused(world.client.get(path), 422)
    assert "query" in refused(world.client.get("/movies?query=" + "x" * 201), 422)


# --- /ratings


def predicted(world: World, user: int, top_k: int = 28) -> list[str]:
    answer = world.client.post(f"/predict?top_k={top_k}", json=[user])
    assert answer.status_code == 200
    return [movie["original_title"] for movie in answer.json()[str(user)]]


def own(world: World, user: int) -> list[tuple[int, float]]:
    answer = told(world.client.get(f"/ratings?user_id={user}"), schemas.OwnRatings)
    assert answer.user_id == user
    return [(one.movie_id, one.stars) for one in answer.ratings]


def test_a_rating_counts_in_the_very_next_list(world: World, stranger: int) -> None:
    assert world.recommend(user_id=stranger).items[0].source == "popular"
    popular = predicted(world, stranger)
    request_id = world.recommend(user_id=stranger).request_id
    answer = world.rate(stranger, (9, 5), (23, 4.5), request_id=request_id)
    stored = told(answer, schemas.RatingsAck)
    assert (stored.stored, stored.ignored, stored.replayed) == (2, 0, False)
    page = world.recommend(user_id=stranger, top_k=28)
    assert {item.source for item in page.items} == {"model"}
    assert set(ids(page)) == set(IDS) - {9, 23}
    assert "Sci-Fi" in genres(page.items[0].movie_id)
    assert {r.movie_id for r in page.items[0].because} <= {9, 23}
    assert page.items[0].stars is not None
    # The same person by ratings in the request and by `/predict`.
    assert ids(world.recommend(ratings={"9": 5, "23": 4.5}, top_k=1)) == ids(page)[:1]
    by_id = {id_: MOVIES[id_ // 2][0] for id_ in ids(page)}
    shown = predicted(world, stranger)
    assert len(shown) == len(by_id)
    assert shown != popular
    assert "Alien" not in shown
    answer = world.client.post("/predict", json=[stranger])
    assert "x-moovier-unknown-users" not in answer.headers
    given = told(world.client.get(f"/ratings?user_id={stranger}"), schemas.OwnRatings).ratings
    assert {one.request_id for one in given} == {request_id}


def test_ratings_in_a_request_count_on_top_of_those_given_before(
    world: World, stranger: int
) -> None:
    world.rate(stranger, (9, 5), (23, 5))
    page = world.recommend(user_id=stranger, ratings={"1": 0.5, "23": 0.5}, top_k=28)
    assert set(ids(page)) == set(IDS) - {1, 9, 23}
    # Of a movie rated in both, what comes with the request is what counts.
    assert {r.movie_id for item in page.items for r in item.because} == {9}


def test_a_known_user_rates_something_more(world: World) -> None:
    user = 6
    before = world.recommend(user_id=user, top_k=28)
    first = ids(before)[0]
    world.rate(user, (first, 5))
    assert set(ids(world.recommend(user_id=user, top_k=28))) == set(ids(before)) - {first}
    assert len(predicted(world, user)) == len(before.items) - 1
    # Of several people asked for at once, only the one that rated is another.
    both = world.client.post("/predict?top_k=28", json=[8, user, 8]).json()
    assert list(both) == ["8", str(user)]
    assert len(both["8"]) == len(IDS) - len(world.rated[8])
    world.client.delete(f"/ratings?user_id={user}&movie_id={first}")
    again = world.recommend(user_id=user, top_k=28)
    assert set(ids(again)) == set(ids(before))


def test_the_newest_rating_wins_and_the_same_one_twice_is_one(world: World, stranger: int) -> None:
    def give(stars: float, timestamp: int | None) -> schemas.RatingsAck:
        rating = {"movie_id": 9, "stars": stars, "timestamp": timestamp}
        answer = world.client.post("/ratings", json={"user_id": stranger, "ratings": [rating]})
        return told(answer, schemas.RatingsAck)

    assert give(3, 1000).stored == 1
    assert give(3, 1000).stored == 1
    assert own(world, stranger) == [(9, 3.0)]
    older = give(1, 999)
    assert (older.stored, older.ignored) == (0, 1)
    assert own(world, stranger) == [(9, 3.0)]
    give(5, 1001)
    assert own(world, stranger) == [(9, 5.0)]
    # Without a moment it is now.
    before = int(time.time())
    assert give(2, None).stored == 1
    [one] = told(world.client.get(f"/ratings?user_id={stranger}"), schemas.OwnRatings).ratings
    assert before <= one.timestamp <= time.time()
    twice = world.rate(stranger, (7, 1), (7, 4))
    assert (twice.json()["stored"], twice.json()["ignored"]) == (1, 1)
    assert (7, 4.0) in own(world, stranger)


def test_a_key_is_answered_once(
    world: World, stranger: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def post(stars: float, key: str, user: int = stranger) -> httpx.Response:
        rating = {"user_id": user, "ratings": [{"movie_id": 9, "stars": stars}]}
        answer: httpx.Response = world.client.post(
            "/ratings", json=rating, headers={"Idempotency-Key": key}
        )
        return answer

    first = told(post(4, "a-1"), schemas.RatingsAck)
    assert (first.stored, first.replayed) == (1, False)
    # Later, since a client waits before it tries again; meanwhile the person thought otherwise.
    moment = time.time()
    monkeypatch.setattr("bentos.routes.time.time", lambda: moment + 100)
    world.rate(stranger, (9, 1))
    monkeypatch.setattr("bentos.routes.time.time", lambda: moment + 200)
    again = told(post(4, "a-1"), schemas.RatingsAck)
    assert (again.stored, again.ignored, again.replayed) == (1, 0, True)
    assert own(world, stranger) == [(9, 1.0)]
    assert "key" in refused(post(5, "a-1"), 409)
    assert own(world, stranger) == [(9, 1.0)]
    # Another key, and the same key of another person, are others.
    assert not told(post(5, "a-2"), schemas.RatingsAck).replayed
    assert not told(post(5, "a-1", next(_strangers)), schemas.RatingsAck).replayed
    for wrong in ("", "two words", "x" * 201):
        assert "idempotency-key" in refused(post(4, wrong), 422).casefold()


def test_a_movie_that_there_is_not_is_refused_with_all_the_rest(
    world: World, stranger: int
) -> None:
    detail = refused(world.rate(stranger, (9, 4), (UNKNOWN_MOVIE, 4)), 422)
    assert "unknown movie 2" in detail
    assert own(world, stranger) == []


def test_one_rating_or_all_are_deleted(world: World) -> None:
    user = 10
    known = world.rated[user]
    one = min(known)
    world.rate(user, (IDS[-1], 4), (IDS[-2], 3))
    assert told(
        world.client.delete(f"/ratings?user_id={user}&movie_id={IDS[-1]}"), schemas.Deleted
    ) == schemas.Deleted(deleted=1)
    assert own(world, user) == [(IDS[-2], 3.0)]
    # One of the data set is not stored here, but counts no longer.
    gone = told(world.client.delete(f"/ratings?user_id={user}&movie_id={one}"), schemas.Deleted)
    assert gone.deleted == 0
    left = set(ids(world.recommend(user_id=user, top_k=28)))
    assert left == (set(IDS) - known - {IDS[-2]}) | {one}
    assert len(predicted(world, user)) == len(left)
    gone = told(world.client.delete(f"/ratings?user_id={user}"), schemas.Deleted)
    assert gone.deleted == 1
    assert own(world, user) == []
    page = world.recommend(user_id=user, top_k=28)
    assert set(ids(page)) == set(IDS)
    assert {item.source for item in page.items} == {"popular"}
    assert all(item.stars is None for item in page.items)
    answer = world.client.post("/predict", json=[user])
    assert answer.headers["x-moovier-unknown-users"] == str(user)
    # And from here on anew.
    world.rate(user, (9, 5))
    assert {item.source for item in world.recommend(user_id=user).items} == {"model"}


def test_ratings_of_a_user_whom_no_model_knows(world: World, stranger: int) -> None:
    assert own(world, stranger) == []
    world.rate(stranger, (1, 4), (7, 2.5))
    assert sorted(own(world, stranger)) == [(1, 4.0), (7, 2.5)]
    for name in (world.other.name, "stars"):
        page = world.recommend(user_id=stranger, model_name=name, top_k=28)
        assert set(ids(page)) == set(IDS) - {1, 7}
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
def test_ratings_that_make_no_sense_are_not_stored(
    world: World, stranger: int, change: dict[str, Any]
) -> None:
    given = {"user_id": stranger, "ratings": [{"movie_id": 9, "stars": 4}], **change}
    refused(world.client.post("/ratings", json=given), 422)
    assert own(world, stranger) == []


def test_a_person_must_be_named(world: World) -> None:
    for path in (
        "/ratings",
        "/ratings?user_id=0",
        "/ratings?user_id=x",
        f"/ratings?user_id={2**64}",
    ):
        for method in ("GET", "DELETE"):
            assert "user_id" in refused(world.client.request(method, path), 422)
    assert "movie_id" in refused(world.client.delete("/ratings?user_id=1&movie_id=0"), 422)


# --- /models/{name}


def test_a_model_by_name_alias_and_number(world: World) -> None:
    version = world.champion
    for name in (version.name, "champion", str(version.number), f"{version.name}.h5"):
        shown = told(world.client.get(f"/models/{name}"), schemas.ModelShown)
        assert (shown.name, shown.version) == (version.name, version.number)
        assert (shown.family, shown.parent) == ("timeline", None)
        assert "champion" in shown.aliases
        assert shown.loaded
        assert shown.data_hash
        assert shown.run_url.startswith(world.settings.mlflow_tracking_uri)
        assert shown.run_url.endswith(version.run_id)
    stars = told(world.client.get("/models/stars"), schemas.ModelShown)
    assert (stars.name, stars.loaded) == (world.stars.name, True)
    assert world.champion.name in refused(world.client.get("/models/nope"), 404)


# --- The fast lane


class Lane:
    """The fast lane in front of the application, and whether it was the one that answered."""

    def __init__(self, world: World) -> None:
        self.passed_on = 0
        self._app = world.app
        self.lane = FastPath(self._inner, world.app, world.app.state.limit)
        self.client = TestClient(
            self.lane,
            raise_server_exceptions=False,
            follow_redirects=False,
            client=("127.0.0.1", 1),
        )
        self.behind = world.client

    async def _inner(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.passed_on += 1
        await self._app(scope, receive, send)

    def same(self, path: str, **how: Any) -> tuple[httpx.Response, bool]:
        """The answer, which is the routes' own, and whether it took the lane."""
        before = self.passed_on
        through = self.client.post(path, **how)
        took = self.passed_on == before
        behind = self.behind.post(path, **how)
        assert plain(through) == plain(behind)
        assert through.headers["x-request-id"] != behind.headers["x-request-id"]
        return through, took

    def taken(self, path: str, **how: Any) -> httpx.Response:
        """As the second time at the latest, and the same both times."""
        first, _ = self.same(path, **how)
        second, took = self.same(path, **how)
        assert took, f"{path} {how} went the long way"
        assert plain(first) == plain(second)
        return second

    def not_taken(self, path: str, **how: Any) -> httpx.Response:
        self.same(path, **how)
        answer, took = self.same(path, **how)
        assert not took, f"{path} {how} took the lane"
        return answer


def plain(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All of an answer but the request's id; the order of headers means nothing."""
    own_id = answer.headers.get("x-request-id", "none")
    headers = sorted((k, v) for k, v in answer.headers.multi_items() if k != "x-request-id")
    return answer.status_code, headers, answer.content.replace(own_id.encode(), b"ID")


@pytest.fixture
def lane(world: World) -> Lane:
    return Lane(world)


def test_the_fast_lane_gives_the_same_lists_to_users(world: World, lane: Lane) -> None:
    for users, query in (
        ([1], ""),
        ([11, 12], "?top_k=3"),
        ([12, 11], "?top_k=28"),
        ([13, 13], "?top_k=2"),
        ([999_999], ""),
        ([14, 999_999, 15], "?top_k=100"),
        ([16], "?model_name=champion"),
        ([16], f"?model_name={world.champion.name}"),
        ([16], f"?model_name={world.champion.name}.h5&top_k=4"),
        ([17], f"?top_k=4&model_name={world.other.name}"),
        ([17], f"?model_name={world.other.number}.h5"),
        ([17], "?model_name="),
        ([18], "?top_k=1&top_k=2"),
        ([18], "?top_k=%33"),
        ([2**63 - 2**60], ""),
    ):
        lane.taken(f"/predict{query}", json=users)
    lane.taken("/predict", content=" [ 19 ,\n20 ] ", headers={"content-type": "Application/JSON"})
    lane.taken(
        "/predict", content="[19]", headers={"content-type": "application/json; charset=utf-8"}
    )


def test_the_fast_lane_gives_the_same_pages(world: World, lane: Lane) -> None:
    page = world.recommend(user_id=21, top_k=5)
    for asked in (
        {},
        {"user_id": 21},
        {"user_id": 21, "genres": ["sci-fi"], "top_k": 3},
        {"user_id": 21, "top_k": 5, "cursor": page.next},
        {"user_id": 999_999},
        {"ratings": {"1": 5, "7": 4.5}, "exclude": [3], "year_from": 1990},
        {"user_id": 22, "ratings": {"1": 5}},
        {"ratings": [{"movie_id": 1, "stars": 5}, {"movie_id": 7, "stars": 1, "timestamp": 9}]},
        {"user_id": 22, "model_name": f"{world.other.name}.h5"},
        {"user_id": 22, "genres": ["Musical"], "year_to": 1950},
    ):
        lane.taken("/recommend", json=asked)


@pytest.mark.parametrize("path", ["/predict", "/recommend"])
@pytest.mark.parametrize(
    "body",
    [
        *("", "[", "{", "nope", "[7", "null", "[]", "7", '"7"', "[7.5]", "[true]", '["7"]', "[0]"),
        *("[-1]", "[null]", "[NaN]", "[1e400]", "[99999999999999999999]", "[[1]]", "[1,]"),
        *('{"user_id": 0}', '{"user_id": 1, "x": 1}', '{"top_k": 0}', '{"user_id": NaN}'),
        "[" * 100_000,
        json.dumps([7] * 1001),
        f"[{schemas.MOST_ID + 1}]",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"user_id": 1}',
        '{"user_id": 1}'.encode("utf-16"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_malformed_body_hears_the_same(lane: Lane, path: str, body: str | bytes) -> None:
    kind = {"content-type": "application/json"}
    # So that the list for whom nobody knows is at hand.
    lane.taken("/predict", json=[999_999])
    before = lane.passed_on
    answer, _ = lane.same(path, content=body, headers=kind)
    if answer.status_code != 200:
        assert lane.passed_on > before
        refused(answer, 422)


@pytest.mark.parametrize(
    "query",
    [
        *("top_k=0", "top_k=1001", "top_k=x", "top_k=", "top_k=1.0", "top_k=-1", "top_k=1&top_k="),
        *("top_k=%D9%A3", "top_k=1_0", "top_k=+3", "top_k=%2B3", "top_k=1%00", "top_k=" + "9" * 50),
        *("top_k=nan", "top_k=true", "top_k=0x1", "top_k=03", "top_k=3%20", "top_k"),
        *("model_name=nope", "model_name=" + "x" * 201, "model_name=%FF", "model_name=.h5"),
        *("model_name=champion.h5.h5", "model_name=%63hampion", "model_name=champion%20"),
        *("foo=1", "foo", "foo=", "&&", "=", "=1", "top_k=2;model_name=nope", "TOP_K=2"),
        *("model_name=nope&model_name=champion", "model_name=champion&model_name="),
    ],
)
def test_any_query_means_the_same(lane: Lane, query: str) -> None:
    # So that the list is at hand.
    lane.taken("/predict?top_k=100", json=[23])
    lane.taken("/recommend", json={"user_id": 23})
    lane.same(f"/predict?{query}", json=[23])
    lane.same(f"/recommend?{query}", json={"user_id": 23})


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "text/plain")],
        [("content-type", "")],
        [("content-type", "application/json2")],
        [("content-type", "application/problem+json")],
        [("content-type", "application/json, text/plain")],
        [("content-type", " application/json ;x=y")],
        [("content-type", "text/plain"), ("content-type", "application/json")],
        [("content-type", "application/json"), ("content-type", "text/plain")],
    ],
    ids=str,
)
def test_any_content_type_means_the_same(lane: Lane, headers: list[tuple[str, str]]) -> None:
    for path, body in (("/predict", b"[24]"), ("/recommend", b'{"user_id": 24}')):
        lane.taken(path, content=body, headers={"content-type": "application/json"})
        lane.same(path, content=body, headers=headers)


def test_what_comes_in_pieces_means_the_same(lane: Lane) -> None:
    whole = lane.taken("/predict", json=[25, 26])
    pieces = [b"[2", b"5, 26", b"]"]
    said: list[Message] = []

    async def receive() -> Message:
        body = pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    before = lane.passed_on
    asyncio.run(lane.lane(scope, receive, send))
    assert lane.passed_on == before + 1
    assert said[0]["status"] == 200
    assert b"".join(message["body"] for message in said[1:]) == whole.content


def test_other_paths_and_methods_go_behind(lane: Lane) -> None:
    before = lane.passed_on
    for method, path in (
        ("GET", "/predict"),
        ("PUT", "/recommend"),
        ("POST", "/predict/"),
        ("POST", "/Predict"),
        ("POST", "//predict"),
        ("GET", "/models"),
        ("HEAD", "/predict"),
    ):
        assert plain(lane.client.request(method, path)) == plain(lane.behind.request(method, path))
    assert lane.passed_on == before + 7


def test_a_page_that_nobody_asked_for_yet_takes_the_lane(lane: Lane, stranger: int) -> None:
    answer, took = lane.same("/recommend", json={"user_id": stranger, "ratings": {"9": 4.5}})
    assert took
    assert answer.json()["items"]
    # What has to be said about it, the routes say.
    for wrong in (
        {"ratings": {"9": 4.25}},
        {"year_from": 2001, "year_to": 2000},
        {"model_name": "?"},
    ):
        answer, took = lane.same("/recommend", json={"user_id": stranger, **wrong})
        assert not took
        assert answer.status_code in (404, 422)


def test_after_a_rating_the_fast_lane_says_what_counts_now(
    world: World, lane: Lane, stranger: int
) -> None:
    asked = {"user_id": stranger, "top_k": 5}
    popular, listed = lane.taken("/recommend", json=asked), lane.taken("/predict", json=[stranger])
    world.rate(stranger, (9, 5))
    after, _ = lane.same("/recommend", json=asked)
    assert plain(after) != plain(popular)
    assert 9 not in {item["movie_id"] for item in after.json()["items"]}
    assert plain(lane.not_taken("/predict", json=[stranger])) != plain(listed)
    # From then on the new page is at hand, until the next change.
    lane.taken("/recommend", json=asked)
    world.client.delete(f"/ratings?user_id={stranger}&movie_id=9")
    again, _ = lane.same("/recommend", json=asked)
    assert ids(schemas.Recommendations.model_validate_json(again.content)) == ids(
        schemas.Recommendations.model_validate_json(popular.content)
    )
    # Another person's rating changes nothing for this one.
    lane.taken("/recommend", json=asked)
    world.rate(next(_strangers), (9, 5))
    _, took = lane.same("/recommend", json=asked)
    assert took


def test_after_a_swap_the_fast_lane_answers_by_the_new_champion(
    world: World, lane: Lane, stranger: int
) -> None:
    registry = open_registry(world.settings)
    users, asked = [26, stranger], {"user_id": 26, "top_k": 5}
    try:
        for version in (world.other, world.champion):
            lane.taken("/predict", json=users)
            lane.taken("/recommend", json=asked)
            registry.promote(version, "for a test")
            assert answered_by(world.client, version.name)
            for path, body in (("/predict", users), ("/recommend", asked)):
                answer = lane.taken(path, json=body)
                assert answer.headers["x-moovier-model"] == version.name
                assert answer.headers["x-moovier-model-version"] == str(version.number)
    finally:
        registry.promote(world.champion, "as it was")
        assert answered_by(world.client, world.champion.name)


def test_the_fast_lane_counts_as_a_request(world: World, lane: Lane) -> None:
    def count(route: str) -> float:
        name = f'moovier_request_seconds_count{{method="POST",route="{route}",status="200"}} '
        text = world.client.get("/metrics").text
        return float(text.partition(name)[2].partition("\n")[0] or 0)

    for path, body in (("/predict", [27]), ("/recommend", {"user_id": 27})):
        lane.taken(path, json=body)
        before = count(path)
        for _ in range(3):
            assert lane.client.post(path, json=body).status_code == 200
        assert count(path) == before + 3


def test_the_fast_lane_turns_away_who_asks_too_often(
    world: World, lane: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane.taken("/predict", json=[28])
    monkeypatch.setattr(world.app.state.limit, "per_s", 0.25)
    assert lane.client.post("/predict", json=[28]).status_code == 200
    answer = lane.client.post("/predict", json=[28])
    assert "retry-after" in answer.headers
    refused(answer, 429)


# --- Without its database


def test_without_a_database_everything_else_answers(
    mlflow: Server,
    world: World,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"postgresql://moovier:s3cr%65t@127.0.0.1:{free_port()}/moovier"
    answers = []
    with started(world.settings, MOOVIER_DATABASE_URL=address) as client:
        assert answered_by(client, world.champion.name)
        given = {"user_id": 1, "ratings": [{"movie_id": 9, "stars": 4}]}
        for answer in (
            client.post("/ratings", json=given),
            client.post("/ratings", json=given, headers={"Idempotency-Key": "a"}),
            client.get("/ratings?user_id=1"),
            client.delete("/ratings?user_id=1"),
        ):
            refused(answer, 503)
            assert int(answer.headers["retry-after"]) > 0
            answers.append(answer)
        for method, path, body in (
            ("POST", "/recommend", {"user_id": 1}),
            ("POST", "/recommend", {"ratings": {"1": 5}}),
            ("POST", "/predict", [1, 2]),
            ("GET", "/popular", None),
            ("GET", "/movies?query=toy", None),
            ("GET", "/movies/1", None),
            ("GET", "/movies/1/similar", None),
            ("GET", "/models", None),
            ("GET", "/models/champion", None),
        ):
            answer = client.request(method, path, json=body)
            assert answer.status_code == 200, path
        # What a request makes no sense is told so all the same.
        refused(client.post("/ratings", json={}), 422)
        # The other service in this process has a database and says so, in turn with this one.
        until = time.monotonic() + 20
        while "moovier_database_reachable 0.0" not in client.get("/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.02)
    captured = capfd.readouterr()
    written = caplog.text + captured.out + captured.err + "".join(one.text for one in answers)
    for secret in ("s3cret", "s3cr%65t"):
        assert secret not in written
    with started(
        world.settings, MOOVIER_DATABASE_URL=address, MOOVIER_REQUIRE_KEYS="true"
    ) as client:
        answer = client.post("/ratings", json=given, headers={"X-API-Key": "moo_" + "x" * 43})
        assert "s3cr" not in refused(answer, 503)
        assert client.post("/predict", json=[1]).status_code == 200
