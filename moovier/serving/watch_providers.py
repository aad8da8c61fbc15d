"""Where a movie can be watched, and the providers of a country."""

from __future__ import annotations

from typing import Any

import orjson

from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_resolution import resolve_model
from moovier.serving.movies import movie_row
from moovier.tmdb.providers import ATTRIBUTION, empty_region


async def movie_providers(
    context: ServingContext, movie_id: int, region: str
) -> tuple[dict[str, Any], LoadedModel]:
    """Return where one movie can be watched in a region, and the model that knows the movie.

    ``known`` is False where TMDB cannot be asked or does not have the movie.

    Raises:
        UnknownMovie: the catalogue does not have the movie.
        RegistryError: there is no model yet.
    """
    model = await resolve_model(context.model_store)
    movie = model.recommender.bundle.catalogue[movie_row(model.recommender, movie_id)]
    found: dict[int, bytes] = {}
    tmdb = context.details.tmdb
    if tmdb is not None and movie.tmdb_id is not None:
        found = await tmdb.providers([movie.tmdb_id])
    content = found.get(movie.tmdb_id or 0)
    regions = orjson.loads(content)["regions"] if content else {}
    return {
        "movie_id": movie_id,
        "region": region,
        "known": content is not None,
        **regions.get(region, empty_region()),
        "attribution": ATTRIBUTION,
    }, model


async def region_providers(context: ServingContext, region: str) -> dict[str, Any]:
    """Return the providers of a country; ``known`` is False where TMDB cannot be asked."""
    tmdb = context.details.tmdb
    found = None if tmdb is None else await tmdb.region_providers(region)
    return {
        "region": region,
        "known": found is not None,
        "providers": orjson.loads(found)["providers"] if found else [],
        "attribution": ATTRIBUTION,
    }
