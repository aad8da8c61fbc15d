"""Where to watch a movie, and filters by what only TMDB knows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from bentos.schemas.watch_providers import MovieProviders, RegionProviders
from moovier.data.catalogue import Catalogue
from tests.fakes.tmdb import V3_KEY, FakeTmdb, fake_tmdb, offer
from tests.fixtures import MOVIE_IDS, toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.conftest import own_settings, promote
from tests.service.in_process import InProcessClient, started

#: The movies of the toy catalogue have ten times their id at TMDB; movie 47 has none.
STREAMED, RENTED = 6, 32
LINK = "https://www.themoviedb.org/movie/60/watch?locale=US"


@pytest.fixture(scope="module")
def parts(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[InProcessClient, FakeTmdb]]:
    folder = tmp_path_factory.mktemp("watch")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, register(settings, folder, _with_tmdb_ids()))
    with (
        fake_tmdb() as tmdb,
        started(settings, TMDB_API_KEY=V3_KEY, MOOVIER_TMDB_URL=tmdb.address) as client,
    ):
        tmdb.offers = {
            10 * STREAMED: {"US": {"link": LINK, "flatrate": [offer(8, "Streamer")]}},
            10 * RENTED: {"US": {"rent": [offer(8, "Streamer")]}, "FR": {"ads": [offer(8, "S")]}},
        }
        tmdb.changed = {
            10 * STREAMED: {"runtime": 90, "original_language": "fr"},
            10 * RENTED: {"runtime": 0},
        }
        yield client, tmdb


def _with_tmdb_ids() -> Any:
    bundle = toy_bundle()
    movies = [replace(m, tmdb_id=None if m.id == 47 else 10 * m.id) for m in bundle.catalogue]
    return replace(bundle, catalogue=Catalogue.of(movies))


@pytest.fixture
def client(parts: tuple[InProcessClient, FakeTmdb]) -> InProcessClient:
    return parts[0]


def ids(client: InProcessClient, **fields: Any) -> set[int]:
    answer = client.post("/recommend", json={"top_k": 5, **fields})
    assert answer.status_code == 200, answer.text
    return {item["movie_id"] for item in answer.json()["items"]}


def test_providers_of_a_movie_come_with_their_source(client: InProcessClient) -> None:
    answer = client.get(f"/movies/{STREAMED}/providers")
    providers = MovieProviders.model_validate_json(answer.content, extra="forbid")
    assert (providers.region, providers.known, providers.link) == ("US", True, LINK)
    assert [provider.name for provider in providers.stream] == ["Streamer"]
    assert not providers.rent
    assert "JustWatch" in providers.attribution
    assert "TMDB API but is not endorsed" in providers.attribution
    elsewhere = client.get(f"/movies/{STREAMED}/providers?region=FR").json()
    assert (elsewhere["known"], elsewhere["stream"], elsewhere["link"]) == (True, [], None)


def test_providers_of_a_country_come_in_the_order_of_the_country(
    parts: tuple[InProcessClient, FakeTmdb],
) -> None:
    client, tmdb = parts
    first_in_france = {**offer(9, "Ciné", 7), "display_priorities": {"FR": 0, "US": 9}}
    tmdb.in_region = {"FR": [offer(8, "Streamer", 1), first_in_france, {"provider_id": "x"}]}
    answer = client.get("/providers?region=FR")
    found = RegionProviders.model_validate_json(answer.content, extra="forbid")
    assert (found.region, found.known) == ("FR", True)
    assert [provider.name for provider in found.providers] == ["Ciné", "Streamer"]
    assert "JustWatch" in found.attribution
    # The cache answers from now on.
    tmdb.in_region = {}
    assert client.get("/providers?region=FR").json() == answer.json()
    assert client.get("/providers?region=DE").json()["providers"] == []
    assert client.get("/providers?region=fr").status_code == 422
    assert client.get("/filters").json()["tmdb"] is True


def test_movie_that_tmdb_does_not_have_is_unknown(client: InProcessClient) -> None:
    answer = client.get("/movies/47/providers").json()
    assert (answer["known"], answer["stream"]) == (False, [])
    assert client.get("/movies/999/providers").status_code == 404
    assert client.get("/movies/6/providers?region=usa").status_code == 422


def test_lists_are_filtered_by_provider_and_region(client: InProcessClient) -> None:
    assert ids(client) == set(MOVIE_IDS)
    # A rented movie costs extra, so it does not count as one of the provider's.
    assert ids(client, providers=[8]) == {STREAMED}
    assert ids(client, providers=[9]) == set()
    assert ids(client, providers=[9, 8], region="FR") == {RENTED}
    assert ids(client, providers=[8], genres=["Drama"], year_to=1990) == set()


def test_lists_are_filtered_by_runtime_and_language(client: InProcessClient) -> None:
    assert ids(client, runtime_to=100) == {STREAMED}
    # TMDB has no runtime of one movie, and no entry for another.
    assert ids(client, runtime_from=100) == {1, 2}
    assert ids(client, language="fr") == {STREAMED}
    assert ids(client, language="en") == {1, 2, RENTED}
    assert ids(client, language="en", providers=[8], region="FR") == {RENTED}


def test_tmdb_is_asked_once_and_the_cache_answers_without_it(
    parts: tuple[InProcessClient, FakeTmdb], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, tmdb = parts
    assert ids(client, providers=[8]) == {STREAMED}
    assert tmdb.requested_providers.count(10) == 1
    monkeypatch.setattr(tmdb, "status", 500)
    assert ids(client, providers=[8]) == {STREAMED}
    assert tmdb.requested_providers.count(10) == 1


def test_filter_needs_a_key(toy_service: tuple[InProcessClient, Any]) -> None:
    client, _ = toy_service
    answer = client.post("/recommend", json={"language": "fr"})
    assert answer.status_code == 422
    assert "TMDB_API_KEY" in answer.json()["detail"]
    assert client.get("/movies/6/providers").json()["known"] is False
    assert client.get("/providers").json()["known"] is False
    assert client.get("/filters").json()["tmdb"] is False


@pytest.mark.parametrize(
    "fields",
    [{"region": "us"}, {"language": "french"}, {"runtime_to": 0}, {"providers": ["Netflix"]}],
)
def test_invalid_filter_is_refused(client: InProcessClient, fields: dict[str, Any]) -> None:
    assert client.post("/recommend", json=fields).status_code == 422


def test_groups_cannot_be_filtered_by_provider(client: InProcessClient) -> None:
    people = [{"user_id": 7}, {"user_id": 11}]
    answer = client.post("/recommend", json={"people": people, "providers": [8]})
    assert answer.status_code == 422
    assert "providers" in answer.json()["detail"]
