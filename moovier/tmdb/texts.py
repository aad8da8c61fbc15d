"""The texts of movies in TMDB's details, as far as they are cached, for content features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import orjson

from moovier.settings import Settings
from moovier.tmdb.cache import Cache


def cached_texts(settings: Settings) -> Callable[[Sequence[int]], Mapping[int, str]]:
    """Return a function that gives overview and tagline by TMDB id; none without a TMDB key.

    It reads the cache and never asks TMDB. Details of any age count: a text does not expire.
    """
    if settings.tmdb_api_key is None:
        return lambda _: {}

    def texts_of(tmdb_ids: Sequence[int]) -> Mapping[int, str]:
        cache = Cache(settings.path("tmdb.sqlite"), float("inf"))
        try:
            texts = {id_: _text(content) for id_, content in cache.get(tmdb_ids).items()}
        finally:
            cache.close()
        return {id_: text for id_, text in texts.items() if text}

    return texts_of


def _text(content: str) -> str:
    try:
        details = orjson.loads(content) if content else {}
        return " ".join(str(details.get(field) or "") for field in ("overview", "tagline")).strip()
    except (ValueError, AttributeError):
        return ""
