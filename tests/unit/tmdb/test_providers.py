"""Where a movie can be watched, from TMDB."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from moovier.tmdb.cache import open_caches
from moovier.tmdb.client import TmdbClient
from moovier.tmdb.providers import empty_region, from_tmdb, provider_ids
from tests.fakes.tmdb import V3_KEY, FakeTmdb, offer

LINK = "https://www.themoviedb.org/movie/197-braveheart/watch?locale=US"
US = {
    "link": LINK,
    "flatrate": [offer(337, "Later", 2), offer(8, "First", 1)],
    "rent": [offer(2, "Shop")],
}


def fetch(tmdb: FakeTmdb, folder: Path, *ids: int) -> dict[int, Any]:
    """Return the providers from a new client."""

    async def session() -> dict[int, bytes]:
        caches = open_caches(folder / "tmdb.sqlite", 60.0)
        client = TmdbClient(V3_KEY, tmdb.address, caches, budget_s=30.0)
        try:
            return await client.providers(ids)
        finally:
            await client.close()

    return {id_: json.loads(text) for id_, text in asyncio.run(session()).items()}


def test_providers_are_reduced_ordered_and_cached(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.offers = {197: {"US": US, "FR": {"link": LINK}}}
    tmdb.missing = {5}
    first = fetch(tmdb, tmp_path, 197, 278, 5)
    assert first.keys() == {197, 278}
    region = first[197]["regions"]["US"]
    assert region["link"] == LINK
    assert region["stream"] == [
        {"id": 8, "name": "First", "logo_path": "/logo8.jpg"},
        {"id": 337, "name": "Later", "logo_path": "/logo337.jpg"},
    ]
    assert [provider["id"] for provider in region["rent"]] == [2]
    assert first[197]["regions"]["FR"] == {**empty_region(), "link": LINK}
    assert first[278]["regions"] == {}
    # Shops are not counted as places to watch without paying again.
    assert provider_ids(region) == {8, 337}
    assert fetch(tmdb, tmp_path, 197, 278, 5) == first
    assert sorted(tmdb.requested_providers) == [5, 197, 278]
    assert tmdb.requested == []


@pytest.mark.parametrize(
    "results",
    [
        None,
        [],
        {"US": None},
        {"US": {"link": "javascript:alert(1)", "flatrate": {}}},
        {"US": {"flatrate": [None, {"provider_id": "8", "provider_name": "x"}, {}]}},
    ],
)
def test_fields_of_another_type_are_left_out(results: Any) -> None:
    regions = from_tmdb({"id": 1, "results": results})["regions"]
    assert regions in ({}, {"US": empty_region()})
