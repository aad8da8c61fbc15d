"""`PUT` and `DELETE /movies/{id}`: movies beside the data set."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bentos.app_state import context_of
from bentos.auth import MOVIES
from bentos.error_response import Problem
from bentos.routes.responses import KEYS, NO_MOVIE, json_response, require_scope
from bentos.schemas.movies import MovieShown, NewMovieId
from bentos.schemas.new_movies import MovieDeleted, MovieToAdd
from moovier.serving import catalogue_edits as serving

router = APIRouter(dependencies=[Depends(require_scope(MOVIES))])


@router.put(
    "/movies/{movie_id}",
    summary="Add a movie that nobody has rated, or change it; searched and recommended at once",
    response_model=MovieShown,
    responses={
        **KEYS,
        201: {"model": MovieShown, "description": "The movie was added"},
        409: {"model": Problem, "description": "The data set has the id for another movie"},
    },
)
async def put(request: Request, movie_id: NewMovieId, body: MovieToAdd) -> Response:
    """Answer `PUT /movies/{movie_id}`."""
    is_new, payload, model = await serving.put_movie(context_of(request), body.to_movie(movie_id))
    response = json_response(payload, model)
    response.status_code = 201 if is_new else 200
    return response


@router.delete(
    "/movies/{movie_id}",
    summary="Delete a movie that was added; those of the data set stay",
    response_model=MovieDeleted,
    responses={**KEYS, **NO_MOVIE},
)
async def delete(request: Request, movie_id: NewMovieId) -> Response:
    """Answer `DELETE /movies/{movie_id}`."""
    await serving.delete_movie(context_of(request), movie_id)
    return json_response({"deleted": movie_id})
