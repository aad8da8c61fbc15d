"""`/predict` and `/models` in this process, on toy models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moovier.data.catalogue import Catalogue
from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, fake_tmdb
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.service.conftest import promote, published
from tests.service.in_process import (
    MODEL,
    OTHER_MODEL,
    InProcessClient,
    becomes_champion,
    started,
)


def titles_of(answer: Any) -> dict[str, list[str]]:
    return {user: [movie["title"] for movie in movies] for user, movies in answer.json().items()}


def test_champion_answers_unless_another_model_is_named(client: InProcessClient) -> None:
    answer = client.post("/predict?top_k=2", json=[7, 11])
    assert titles_of(answer) == {"7": ["Movie 47", "Movie 6"], "11": ["Movie 1", "Movie 47"]}
    assert answer.headers["x-moovier-model"] == MODEL
    assert answer.headers["x-moovier-model-version"] == "1"
    assert "x-moovier-unknown-users" not in answer.headers
    for name in (OTHER_MODEL, f"{OTHER_MODEL}.h5", "2"):
        other = client.post(f"/predict?top_k=2&model_name={name}", json=[7, 11])
        assert other.content == answer.content
        assert other.headers["x-moovier-model"] == OTHER_MODEL


def test_models_are_listed_newest_first(client: InProcessClient) -> None:
    assert client.get("/models").json() == [OTHER_MODEL, MODEL]


def test_unknown_user_gets_popular_movies_and_is_named_in_a_header(client: InProcessClient) -> None:
    answer = client.post("/predict?top_k=1", json=[999, 7, 999])
    assert titles_of(answer) == {"999": ["Movie 2"], "7": ["Movie 47"]}
    assert answer.headers["x-moovier-unknown-users"] == "999"


def test_list_is_shorter_than_top_k_when_movies_run_out(client: InProcessClient) -> None:
    assert len(client.post("/predict?top_k=1000", json=[7]).json()["7"]) == 3


@pytest.mark.parametrize(
    ("query", "body", "says"),
    [
        ("top_k=0", "[7]", "query.top_k"),
        ("top_k=1000000", "[7]", "less than or equal to 1000"),
        ("top_k=three", "[7]", "query.top_k"),
        ("top_k=nan", "[7]", "query.top_k"),
        ("", "[]", "at least 1"),
        ("", '["7"]', "body.0"),
        ("", "[7.5]", "body.0"),
        ("", "[true]", "body.0"),
        ("", "[null]", "body.0"),
        ("", "[0]", "body.0"),
        ("", "[99999999999999999999]", "body.0"),
        ("", "[NaN]", "body.0"),
        ("", "{}", "list"),
        ("", "7", "list"),
        ("", "", "body"),
        ("", "not json", "not JSON"),
        ("", "[7", "not JSON"),
        ("top_k=1000", json.dumps(list(range(1, 200))), "100000"),
        ("", json.dumps([7] * 1001), "at most 1000"),
        ("model_name=" + "x" * 201, "[7]", "query.model_name"),
    ],
)
def test_invalid_request_gets_422_with_the_reason(
    client: InProcessClient, query: str, body: str, says: str
) -> None:
    answer = client.post(
        f"/predict?{query}", content=body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422, answer.text
    assert answer.json().keys() == {"detail"}
    assert says in answer.json()["detail"]
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "name", ["nope", "../../etc/passwd", "%2Fetc%2Fpasswd", "..%5C..", "99", "1/../1", "%00", "'"]
)
def test_unknown_model_gets_404_with_the_known_names(
    toy_service: tuple[InProcessClient, Settings], name: str
) -> None:
    client, settings = toy_service
    before = sorted(settings.home.rglob("*"))
    answer = client.post(f"/predict?model_name={name}", json=[7])
    assert answer.status_code == 404
    assert MODEL in answer.json()["detail"]
    assert sorted(settings.home.rglob("*")) == before


def test_before_the_first_champion_503_and_then_popular_movies(
    settings: Settings, tmp_path: Path
) -> None:
    with started(settings) as client:
        answer = client.post("/predict", json=[7])
        assert answer.status_code == 503
        assert "no model has been trained yet" in answer.json()["detail"]
        assert int(answer.headers["retry-after"]) > 0
        assert client.get("/models").json() == []
        # A model that is not promoted stands in with popular movies.
        published(settings, tmp_path)
        answer = client.post("/predict?top_k=1", json=[7])
        assert titles_of(answer) == {"7": ["Movie 47"]}
        assert answer.headers["x-moovier-model"] == "popular"


def test_promotion_and_rollback_are_followed(settings: Settings, tmp_path: Path) -> None:
    promote(settings, published(settings, tmp_path))
    second = published(settings, tmp_path, OTHER_MODEL)
    with started(settings) as client:
        assert becomes_champion(client, MODEL)
        promote(settings, second)
        assert becomes_champion(client, OTHER_MODEL)
        open_registry(settings).rollback("worse")
        assert becomes_champion(client, MODEL)


def test_movies_have_tmdb_details(settings: Settings, tmp_path: Path) -> None:
    model = toy_bundle(MODEL)
    catalogue = Catalogue.of(
        replace(movie, tmdb_id=197) if movie.id == 2 else movie for movie in model.catalogue
    )
    promote(settings, register(settings, tmp_path, replace(model, catalogue=catalogue)))
    with (
        fake_tmdb() as tmdb,
        started(settings, TMDB_API_KEY=V3_KEY, MOOVIER_TMDB_URL=tmdb.address) as client,
    ):
        first, second = client.post("/predict?top_k=2", json=[13]).json()["13"]
        assert first == BRAVEHEART
        assert second["title"] == "Movie 1"
        assert list(second) == list(BRAVEHEART)
        # Cached details are shown even if TMDB fails.
        tmdb.status = 500
        assert client.post("/predict?top_k=1", json=[13]).json()["13"] == [BRAVEHEART]
