"""What an answer shows of a movie: TMDB's details where they can be had, else the catalogue's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import orjson

from moovier.data.catalogue import Movie
from moovier.settings import Settings
from moovier.tmdb.cache import Cache
from moovier.tmdb.client import TmdbClient
from moovier.tmdb.details import from_catalogue

#: Catalogue objects kept as JSON: more than the films that lists usually hold, a few megabytes.
_KEPT = 20_000


class Details:
    """Movies as JSON objects. One event loop's."""

    def __init__(self, tmdb: TmdbClient | None) -> None:
        self.tmdb = tmdb

    @classmethod
    def of(cls, settings: Settings) -> Details:
        """With a TMDB client where the settings hold a key."""
        if settings.tmdb_api_key is None:
            return cls(None)
        cache = Cache(settings.path("tmdb.sqlite"), settings.tmdb_cache_h * 3600)
        return cls(
            TmdbClient(
                settings.tmdb_api_key.get_secret_value(),
                settings.tmdb_url,
                cache,
                budget_s=settings.tmdb_timeout_s,
            )
        )

    async def objects(self, movies: Sequence[Movie]) -> list[bytes]:
        """One JSON object a movie, in order."""
        if self.tmdb is None:
            return [_catalogue_json(movie) for movie in movies]
        ids = {movie.tmdb_id for movie in movies if movie.tmdb_id is not None}
        found = await self.tmdb.details(ids)
        return [found.get(movie.tmdb_id or 0) or _catalogue_json(movie) for movie in movies]

    @property
    def usable(self) -> bool:
        """Whether TMDB is asked: there is a key, and it did not fail too often of late."""
        return self.tmdb is not None and self.tmdb.breaker.closed

    async def close(self) -> None:
        if self.tmdb is not None:
            await self.tmdb.close()


@lru_cache(maxsize=_KEPT)
def _catalogue_json(movie: Movie) -> bytes:
    return orjson.dumps(from_catalogue(movie))
