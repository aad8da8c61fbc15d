"""What TMDB knows of new movies, fetched in the background."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from moovier.data.catalogue import Catalogue
from moovier.models.cold_start import ColdStartScorer
from tests.fakes.tmdb import V3_KEY, FakeTmdb, fake_tmdb
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.conftest import own_settings, promote, wait_for
from tests.service.in_process import InProcessClient, started

#: The movies 1, 2 and 47 of the toy bundle have ratings, and ten times their id at TMDB.
NEW, AT_TMDB = 900, 77
DIRECTOR = "Agnès Example"


@pytest.fixture
def parts(
    mlflow: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[InProcessClient, FakeTmdb]]:
    monkeypatch.setattr("moovier.serving.new_movie_content.PAUSE_S", 0.01)
    monkeypatch.setattr("moovier.serving.new_movie_content.RETRY_S", 0.2)
    settings = own_settings(mlflow, tmp_path / "home")
    bundle = toy_bundle()
    movies = [replace(movie, tmdb_id=10 * movie.id) for movie in bundle.catalogue]
    toy = replace(bundle, catalogue=Catalogue.of(movies))
    promote(settings, register(settings, tmp_path, toy))
    with fake_tmdb() as tmdb:
        # Different texts, so that the people decide.
        tmdb.changed = {id_: {"overview": "", "tagline": ""} for id_ in (10, 20, 470, AT_TMDB)}
        with started(
            settings,
            TMDB_API_KEY=V3_KEY,
            MOOVIER_TMDB_URL=tmdb.address,
            MOOVIER_TMDB_TIMEOUT_S="2",
        ) as client:
            yield client, tmdb


def put(client: InProcessClient, **fields: Any) -> int:
    body = {"title": "High", "tmdb_id": AT_TMDB, **fields}
    status: int = client.put(f"/movies/{NEW}", json=body).status_code
    return status


def nearest(client: InProcessClient) -> int:
    """Return the id of the rated movie that is most like the new one."""
    model = client.context.model_store.champion
    assert model is not None
    scorer = model.recommender.scorer
    assert isinstance(scorer, ColdStartScorer)
    row = int(scorer._neighbours.rows[0][0])
    return model.recommender.base.bundle.catalogue[row].id


@pytest.mark.parametrize("alike", [2, 47])
def test_new_movie_is_like_a_movie_of_the_same_director(
    parts: tuple[InProcessClient, FakeTmdb], alike: int
) -> None:
    client, tmdb = parts
    tmdb.people = {AT_TMDB: ([DIRECTOR], ["First"]), 10 * alike: ([DIRECTOR], ["Other"])}
    assert put(client) == 201
    wait_for(lambda: nearest(client) == alike)
    assert tmdb.requested_content[0] == AT_TMDB
    # The movies without ratings are no neighbours, so nobody asks about them.
    wait_for(lambda: sorted(tmdb.requested_content) == [10, 20, AT_TMDB, 470])
    # The cache answers from now on.
    assert put(client, title="Higher") == 200
    wait_for(lambda: nearest(client) == alike)
    assert len(tmdb.requested_content) == 4


def test_movie_is_added_at_once_while_tmdb_does_not_answer_and_gets_its_people_later(
    parts: tuple[InProcessClient, FakeTmdb],
) -> None:
    client, tmdb = parts
    tmdb.people = {AT_TMDB: ([DIRECTOR], []), 470: ([DIRECTOR], [])}
    tmdb.status = 500
    assert put(client, genres=["Drama"]) == 201
    assert client.get(f"/movies/{NEW}").json()["title"] == "High"
    wait_for(lambda: len(tmdb.requested_content) >= 2)
    assert nearest(client) != 47
    tmdb.status = None
    client.context.details.tmdb.breaker.record_success()  # type: ignore[union-attr]
    wait_for(lambda: nearest(client) == 47)
