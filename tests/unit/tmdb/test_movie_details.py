from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from moovier.data.catalogue import Movie
from moovier.settings import Settings
from moovier.tmdb.details import from_catalogue
from moovier.tmdb.movie_details import Details
from tests.fakes.tmdb import BRAVEHEART, V3_KEY, FakeTmdb

HEAT = Movie(6, "Heat", 1995, ("Action", "Crime"), "tt0113277", 949)
WITHOUT_ID = Movie(720, "Wallace & Gromit", 1996, (), None, None)
BRAVEHEART_MOVIE = Movie(110, "Braveheart", 1995, ("Drama",), "tt0112573", 197)


def objects(settings: Settings, *movies: Movie) -> list[Any]:
    async def fetch() -> list[Any]:
        details = Details.of(settings)
        try:
            return [json.loads(text) for text in await details.objects(movies)]
        finally:
            await details.close()

    return asyncio.run(fetch())


def test_without_a_key_objects_come_from_the_catalogue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    settings = Settings(home=tmp_path / "home")
    assert objects(settings, HEAT, WITHOUT_ID) == [from_catalogue(HEAT), from_catalogue(WITHOUT_ID)]
    assert not (tmp_path / "home").exists()


def test_with_a_key_objects_come_from_tmdb_where_it_has_them(
    tmdb: FakeTmdb, tmp_path: Path
) -> None:
    tmdb.missing = {949}
    settings = Settings(home=tmp_path, tmdb_api_key=V3_KEY, tmdb_url=tmdb.address)
    assert objects(settings, HEAT, BRAVEHEART_MOVIE, WITHOUT_ID, BRAVEHEART_MOVIE) == [
        from_catalogue(HEAT),
        BRAVEHEART,
        from_catalogue(WITHOUT_ID),
        BRAVEHEART,
    ]
    assert sorted(tmdb.requested) == [197, 949]


def test_objects_come_from_the_catalogue_when_tmdb_is_down(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.status = 503
    settings = Settings(home=tmp_path, tmdb_api_key=V3_KEY, tmdb_url=tmdb.address)
    assert objects(settings, BRAVEHEART_MOVIE, HEAT) == [
        from_catalogue(BRAVEHEART_MOVIE),
        from_catalogue(HEAT),
    ]


def test_repr_of_settings_hides_the_key() -> None:
    assert V3_KEY not in repr(Settings(tmdb_api_key=V3_KEY))
