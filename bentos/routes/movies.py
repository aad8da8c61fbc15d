"""`/movies` and `/popular`: search, single movies, similar and popular ones."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bentos import logs
from bentos.app_state import context_of
from bentos.routes.responses import NO_MOVIE, json_response, page_response
from bentos.schemas.movies import (
    TREND_DAYS,
    Days,
    MovieId,
    MoviePage,
    MovieShown,
    Page,
    TitleQuery,
    TrendDays,
)
from bentos.schemas.pages import Recommendations
from moovier.serving import movies as serving

router = APIRouter()


@router.get(
    "/popular",
    summary="Movies with the most recent ratings, or the most ratings of all time",
    response_model=Recommendations,
)
async def popular(request: Request, page: Page, days: Days = None) -> Response:
    """Answer `/popular`."""
    request_id = logs.request_id.get()
    return page_response(await serving.popular_movies(context_of(request), page, days, request_id))


@router.get(
    "/trending",
    summary="Movies with more recent ratings than their past suggests",
    response_model=Recommendations,
)
async def trending(request: Request, page: Page, days: TrendDays = TREND_DAYS) -> Response:
    """Answer `/trending`."""
    request_id = logs.request_id.get()
    return page_response(await serving.trending_movies(context_of(request), page, days, request_id))


@router.get("/movies", summary="Movies by words of their titles", response_model=MoviePage)
async def search(request: Request, page: Page, query: TitleQuery = "") -> Response:
    """Answer `/movies`."""
    return json_response(*await serving.search_movies(context_of(request), query, page))


@router.get(
    "/movies/{movie_id}", summary="One movie", response_model=MovieShown, responses=NO_MOVIE
)
async def movie(request: Request, movie_id: MovieId) -> Response:
    """Answer `/movies/{movie_id}`."""
    return json_response(*await serving.one_movie(context_of(request), movie_id))


@router.get(
    "/movies/{movie_id}/similar",
    summary="Movies for people who like this movie",
    response_model=Recommendations,
    responses=NO_MOVIE,
)
async def similar(request: Request, movie_id: MovieId, page: Page) -> Response:
    """Answer `/movies/{movie_id}/similar`."""
    request_id = logs.request_id.get()
    return page_response(
        await serving.similar_movies(context_of(request), movie_id, page, request_id)
    )
