"""Texts of TMDB's details come from the cache alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from moovier.settings import Settings
from moovier.tmdb.cache import Cache
from moovier.tmdb.texts import cached_texts


def settings_in(home: Path, key: str | None = "k") -> Settings:
    return Settings(home=home, tmdb_api_key=None if key is None else SecretStr(key))


def put(home: Path, texts: dict[int, str]) -> None:
    cache = Cache(settings_in(home).path("tmdb.sqlite"), 1.0)
    cache.put(texts)
    cache.close()


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"overview": "A plot.", "tagline": "Run!", "title": "T"}, "A plot. Run!"),
        ({"overview": None, "tagline": "Run!"}, "Run!"),
        ({"overview": "A plot."}, "A plot."),
        ({"overview": "", "tagline": None}, None),
        ({}, None),
        ([], None),
        (3, None),
    ],
)
def test_a_text_is_overview_and_tagline(tmp_path: Path, details: Any, text: str | None) -> None:
    put(tmp_path, {7: json.dumps(details)})
    found = cached_texts(settings_in(tmp_path))([7])
    assert found == ({} if text is None else {7: text})


@pytest.mark.parametrize("content", ["", "no JSON"])
def test_movies_that_tmdb_does_not_have_have_no_text(tmp_path: Path, content: str) -> None:
    put(tmp_path, {7: content, 8: '{"overview": "B"}'})
    assert cached_texts(settings_in(tmp_path))([7, 8, 9]) == {8: "B"}


def test_details_of_any_age_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, {7: '{"overview": "A"}'})
    years_later = time.time() + 10 * 365 * 86_400
    monkeypatch.setattr(time, "time", lambda: years_later)
    assert cached_texts(settings_in(tmp_path))([7]) == {7: "A"}


def test_what_is_cached_later_is_found(tmp_path: Path) -> None:
    texts_of = cached_texts(settings_in(tmp_path))
    assert texts_of([7]) == {}
    put(tmp_path, {7: '{"overview": "A"}'})
    assert texts_of([7]) == {7: "A"}
    assert texts_of([]) == {}


def test_without_a_key_there_are_no_texts(tmp_path: Path) -> None:
    put(tmp_path, {7: '{"overview": "A"}'})
    assert cached_texts(settings_in(tmp_path, key=None))([7]) == {}
