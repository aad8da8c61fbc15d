"""The JSON of pages, lists and movies."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

from moovier.data.catalogue import Movie
from moovier.serving.page_builder import ModelPage
from moovier.serving.recommender import Answer, Recommendation
from moovier.serving.rendering import movie_payloads, render_answers, render_page
from moovier.serving.user_recommender import Item, Page
from moovier.tmdb.details import FIELDS
from moovier.tmdb.movie_details import Details
from tests.contracts.toy import N_MOVIES
from tests.unit.serving.toy_context import CHAMPION, champion
from tests.unit.serving.toy_users import MOVIES

QUOTED = Movie(5, 'Movie, The "Quoted" \\ ✓', 1999, ("Drama",), None, None)
PLAIN = Movie(6, "Plain", None, (), None, None)


def rendered(items: tuple[Item, ...], **fields: Any) -> dict[str, Any]:
    days = fields.pop("days", None)
    page = Page(items, False, np.array([item.movie.id for item in items]), days)
    stars = fields.pop("stars", (None,) * len(items))
    model_page = ModelPage(champion(), page, stars, fields.pop("next", None), **fields)
    content: dict[str, Any] = json.loads(
        asyncio.run(render_page(model_page, Details(None), "a" * 32))
    )
    return content


def test_a_page_has_its_model_its_items_and_their_reasons() -> None:
    items = (
        Item(QUOTED, 1.5, "model", (PLAIN, QUOTED)),
        Item(PLAIN, -0.25, "popular"),
    )
    content = rendered(items, stars=(4.25, None), next="cursor", days=30)
    assert {key: content[key] for key in content if key != "items"} == {
        "request_id": "a" * 32,
        "model": CHAMPION,
        "model_version": 1,
        "next": "cursor",
        "days": 30,
    }
    first, second = content["items"]
    assert set(first["movie"]) == set(FIELDS)
    assert (first["movie_id"], first["score"], first["stars"]) == (5, 1.5, 4.25)
    assert first["source"] == "model"
    assert first["because"][0] == {"movie_id": 6, "title": "Plain"}
    assert first["because"][1]["title"] == first["movie"]["title"]
    assert '"Quoted" \\ ✓' in first["movie"]["title"]
    assert [reason["movie_id"] for reason in first["because"]] == [6, 5]
    assert (second["score"], second["stars"], second["because"]) == (-0.25, None, [])


def test_an_empty_page_is_valid_json() -> None:
    content = rendered(())
    assert (content["items"], content["next"], content["days"]) == ([], None, None)


def test_stars_of_each_person_are_shown_for_groups_only() -> None:
    items = (Item(PLAIN, 1.0, "model"), Item(QUOTED, 0.5, "model"))
    group = rendered(items, stars=(3.0, None), stars_by_person=((2.0, 4.0), (None, 1.5)))
    assert [item["stars_by_person"] for item in group["items"]] == [[2.0, 4.0], [None, 1.5]]
    assert "stars_by_person" not in rendered(items)["items"][0]


@pytest.mark.parametrize("score", [0.1, 1e-7, 123456.0, 3.0])
def test_scores_are_written_without_loss(score: float) -> None:
    [item] = rendered((Item(PLAIN, score, "similar"),))["items"]
    assert item["score"] == score


def test_lists_of_users_keep_their_order_and_their_movies() -> None:
    lists = [
        Answer(9, (Recommendation(PLAIN, 1.0), Recommendation(QUOTED, 0.5)), "model"),
        Answer(3, (), "model"),
        Answer(4, (Recommendation(QUOTED, 0.5),), "popular"),
    ]
    content = json.loads(asyncio.run(render_answers(lists, Details(None))))
    assert list(content) == ["9", "3", "4"]
    assert [[movie["title"] for movie in movies] for movies in content.values()] == [
        ["Plain", content["9"][1]["title"]],
        [],
        [content["9"][1]["title"]],
    ]
    assert json.loads(asyncio.run(render_answers([], Details(None)))) == {}


def test_movies_come_with_their_ratings() -> None:
    import orjson

    recommender = champion().recommender
    rows = [3, N_MOVIES - 1]
    payloads = asyncio.run(movie_payloads(recommender, rows, Details(None)))
    rated, unrated = json.loads(orjson.dumps(payloads))
    bundle = recommender.bundle
    stars = bundle.histories.stars[bundle.histories.movies == 3]
    assert (rated["movie_id"], rated["ratings"]) == (MOVIES[3], stars.size)
    assert rated["mean_stars"] == pytest.approx(stars.mean(), abs=0.005)
    assert (unrated["ratings"], unrated["mean_stars"]) == (0, None)
    assert (rated["title"], rated["year"]) == (f"Movie {MOVIES[3]}", 1983)
    assert rated["genres"] == list(bundle.catalogue[3].genres)
    assert rated["movie"]["title"] == rated["title"]
