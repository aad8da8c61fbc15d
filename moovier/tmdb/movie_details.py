"""Provide the movie objects of responses: TMDB's details, or else the catalogue's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import orjson

from moovier.data.catalogue import Movie
from moovier.settings import Settings
from moovier.tmdb.cache import open_caches
from moovier.tmdb.client import TmdbClient
from moovier.tmdb.details import from_catalogue

#: Cached JSON objects: more than the movies that lists usually contain, a few megabytes.
_CACHE_SIZE = 20_000


class Details:
    """Movies as JSON objects. It must be used from one event loop only."""

    def __init__(self, tmdb: TmdbClient | None) -> None:
        self.tmdb = tmdb

    @classmethod
    def of(cls, settings: Settings) -> Details:
        """Create it with a TMDB client where the settings have a TMDB key."""
        if settings.tmdb_api_key is None:
            return cls(None)
        file, ttl_s = settings.path("tmdb.sqlite"), settings.tmdb_cache_h * 3600
        return cls(
            TmdbClient(
                settings.tmdb_api_key.get_secret_value(),
                settings.tmdb_url,
                open_caches(file, ttl_s),
                budget_s=settings.tmdb_timeout_s,
            )
        )

    async def objects(self, movies: Sequence[Movie]) -> list[bytes]:
        """Return one JSON object per movie, in the same order."""
        if self.tmdb is None:
            return [_catalogue_json(movie) for movie in movies]
        ids = {movie.tmdb_id for movie in movies if movie.tmdb_id is not None}
        details = await self.tmdb.details(ids)
        return [details.get(movie.tmdb_id or 0) or _catalogue_json(movie) for movie in movies]

    @property
    def usable(self) -> bool:
        """Whether TMDB is in use: the settings have a key, and it did not fail too often lately."""
        return self.tmdb is not None and self.tmdb.breaker.is_closed

    async def close(self) -> None:
        """Close the TMDB client."""
        if self.tmdb is not None:
            await self.tmdb.close()


@lru_cache(maxsize=_CACHE_SIZE)
def _catalogue_json(movie: Movie) -> bytes:
    return orjson.dumps(from_catalogue(movie))
