"""The texts of movies at TMDB, as far as they are cached, for content features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from moovier.settings import Settings
from moovier.tmdb import content
from moovier.tmdb.cache import Cache, Kind

#: Returns texts by TMDB id.
TextsOf = Callable[[Sequence[int]], Mapping[int, str]]


def cached_texts(settings: Settings) -> TextsOf:
    """Return a function that gives overview, tagline and people by TMDB id; none without a key.

    It reads the cache and never asks TMDB. Answers of any age count: a text does not expire. Where
    the credits are not cached, the details of lists give overview and tagline.
    """
    if settings.tmdb_api_key is None:
        return lambda _: {}

    def texts_of(tmdb_ids: Sequence[int]) -> Mapping[int, str]:
        return _texts(settings, "details", tmdb_ids) | _texts(settings, "content", tmdb_ids)

    return texts_of


def _texts(settings: Settings, kind: Kind, tmdb_ids: Sequence[int]) -> dict[int, str]:
    cache = Cache(settings.path("tmdb.sqlite"), float("inf"), kind)
    try:
        texts = {id_: _text(answer) for id_, answer in cache.get(tmdb_ids).items()}
    finally:
        cache.close()
    return {id_: text for id_, text in texts.items() if text}


def _text(answer: str) -> str:
    try:
        found = orjson.loads(answer) if answer else {}
        people = {kind: found.get(kind) or [] for kind in ("directors", "actors")}
        about = {field: str(found.get(field) or "") for field in ("overview", "tagline")}
        return content.words(people | about)
    except (ValueError, AttributeError, KeyError, TypeError):
        return ""
