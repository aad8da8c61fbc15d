"""A service with a TMDB key, whose TMDB knows where some movies are offered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from moovier.settings import Settings
from tests.fakes.tmdb import V3_KEY, fake_tmdb, offer
from tests.service.conftest import Service, running_service, wait_for

#: Places of movies among the most popular ones.
STREAMED, LONG, FRENCH, IN_FRANCE = 2, 3, 4, 5
#: MovieLens's and TMDB's ids of Toy Story, and its offers in the United States.
TOY_STORY, TOY_STORY_AT_TMDB = 1, 862
TOY_STORY_LINK = "https://www.themoviedb.org/movie/862-toy-story/watch?locale=US"


@dataclass(frozen=True)
class WithTmdb:
    """A service with a TMDB key; ``best``: the ids of the most popular movies, best first."""

    address: str
    best: list[int]


@contextlib.contextmanager
def service_with_tmdb(trained: Settings, service: Service, home: Path) -> Iterator[WithTmdb]:
    """Run a second service beside ``service``, with the same models and a home of its own."""
    with service.client() as client:
        items = client.get("/popular", params={"top_k": 8}).json()["items"]
    at_tmdb = [item["movie"]["id"] for item in items]
    best = [item["movie_id"] for item in items]
    assert TOY_STORY not in [best[place] for place in (STREAMED, LONG, FRENCH, IN_FRANCE)]
    with (
        fake_tmdb() as tmdb,
        running_service(
            trained.model_copy(update={"home": home}),
            TMDB_API_KEY=V3_KEY,
            MOOVIER_TMDB_URL=tmdb.address,
            MOOVIER_TMDB_TIMEOUT_S="20",
        ) as with_key,
    ):
        tmdb.in_region = {
            "US": [offer(8, "Streamer"), offer(9, "Channel")],
            "FR": [offer(8, "Streamer")],
        }
        streamed = {"flatrate": [offer(8, "Streamer")]}
        tmdb.offers = {at_tmdb[place]: {"US": streamed} for place in (STREAMED, LONG, FRENCH)}
        tmdb.offers[at_tmdb[IN_FRANCE]] = {"FR": streamed}
        tmdb.offers[TOY_STORY_AT_TMDB] = {
            "US": {
                "link": TOY_STORY_LINK,
                "flatrate": [offer(9, "Channel")],
                "buy": [offer(2, "Shop")],
            }
        }
        # The other movies take three hours less three minutes, and are in English.
        tmdb.changed = {
            at_tmdb[STREAMED]: {"runtime": 85},
            at_tmdb[FRENCH]: {"runtime": 100, "original_language": "fr"},
        }
        # A service with a home of its own reads the models only now.
        with with_key.client() as client:
            wait_for(lambda: client.get("/readyz").is_success)
        yield WithTmdb(with_key.address, best)
