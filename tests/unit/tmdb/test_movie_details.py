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
WITHOUT = Movie(720, "Wallace & Gromit", 1996, (), None, None)
MOVIE = Movie(110, "Braveheart", 1995, ("Drama",), "tt0112573", 197)


def objects(settings: Settings, *movies: Movie) -> list[Any]:
    async def ask() -> list[Any]:
        details = Details.of(settings)
        try:
            return [json.loads(text) for text in await details.objects(movies)]
        finally:
            await details.close()

    return asyncio.run(ask())


def test_without_a_key_the_catalogue_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMDB_API_KEY", raising=False)
    settings = Settings(home=tmp_path / "home")
    assert objects(settings, HEAT, WITHOUT) == [from_catalogue(HEAT), from_catalogue(WITHOUT)]
    assert not (tmp_path / "home").exists()


def test_with_a_key_tmdb_answers_for_what_it_has(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.missing = {949}
    settings = Settings(home=tmp_path, tmdb_api_key=V3_KEY, tmdb_url=tmdb.address)
    assert objects(settings, HEAT, MOVIE, WITHOUT, MOVIE) == [
        from_catalogue(HEAT),
        BRAVEHEART,
        from_catalogue(WITHOUT),
        BRAVEHEART,
    ]
    assert sorted(tmdb.asked) == [197, 949]


def test_when_tmdb_is_down_the_catalogue_answers(tmdb: FakeTmdb, tmp_path: Path) -> None:
    tmdb.status = 503
    settings = Settings(home=tmp_path, tmdb_api_key=V3_KEY, tmdb_url=tmdb.address)
    assert objects(settings, MOVIE, HEAT) == [from_catalogue(MOVIE), from_catalogue(HEAT)]


def test_the_key_does_not_show_in_the_settings() -> None:
    assert V3_KEY not in repr(Settings(tmdb_api_key=V3_KEY))
