"""`/movies/{id}/providers` and `/providers`: where a movie can be watched."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bentos.app_state import context_of
from bentos.routes.responses import NO_MOVIE, json_response
from bentos.schemas.movies import MovieId
from bentos.schemas.watch_providers import MovieProviders, RegionProviders, RegionQuery
from moovier.serving import watch_providers as serving

router = APIRouter()


@router.get(
    "/movies/{movie_id}/providers",
    summary="Where a movie can be watched in a country; needs a TMDB key",
    response_model=MovieProviders,
    responses=NO_MOVIE,
)
async def providers(request: Request, movie_id: MovieId, region: RegionQuery = "US") -> Response:
    """Answer `/movies/{movie_id}/providers`."""
    return json_response(*await serving.movie_providers(context_of(request), movie_id, region))


@router.get(
    "/providers",
    summary="The services that show movies in a country; needs a TMDB key",
    response_model=RegionProviders,
)
async def of_region(request: Request, region: RegionQuery = "US") -> Response:
    """Answer `/providers`."""
    return json_response(await serving.region_providers(context_of(request), region))
