"""The routes beyond the original's: for people rather than ids."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Path, Query, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from bentos import errors, lists, logs, metrics, schemas
from bentos.access import WRITE, require_scope
from bentos.lane import page_for
from bentos.models import assign_model, resolve_model
from moovier.feedback.cache import FeedbackCache
from moovier.feedback.store import NewRating
from moovier.registry.version import Version
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.filters import Filter
from moovier.serving.model_store import ModelStore
from moovier.serving.popularity import LEAST_DAYS, MOST_DAYS
from moovier.tmdb.movie_details import Details

router = APIRouter()
Responses = dict[int | str, dict[str, Any]]
NO_MOVIE: Responses = {404: {"model": errors.Problem, "description": "No such movie"}}
KEYS: Responses = {
    401: {"model": errors.Problem, "description": "A key is needed"},
    403: {"model": errors.Problem, "description": "The key is for something else"},
}
MovieId = Annotated[int, Path(ge=1, le=schemas.MOST_ID, description="MovieLens id.", examples=[1])]
Genres = Annotated[
    Sequence[schemas.Genre], Query(max_length=schemas.MOST_GENRES, description="Any of them.")
]
YearFrom = Annotated[schemas.Year | None, Query(description="First year of release.")]
YearTo = Annotated[schemas.Year | None, Query(description="Last year of release.")]
Size = Annotated[schemas.PageSize, Query(description="Movies on a page.")]
Days = Annotated[
    Annotated[int, Field(ge=LEAST_DAYS, le=MOST_DAYS)] | None,
    Query(
        description="Rank by the ratings of so many days before the newest rating, then by those "
        "of all time. Left out: the window that predicted best when the model was trained.",
        examples=[30],
    ),
]
Cursor = Annotated[
    Annotated[
        str,
        Field(max_length=schemas.LONGEST_CURSOR_IN_URL, json_schema_extra=schemas.CURSOR_LOOKS),
    ]
    | None,
    Query(description="`next` of the page before."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[\x21-\x7e]+$",
        description="The same key with the same ratings stores them once.",
    ),
]


def narrowed(genres: Genres = (), year_from: YearFrom = None, year_to: YearTo = None) -> Filter:
    return Filter(tuple(genres), year_from, year_to)


Narrowed = Annotated[Filter, Depends(narrowed)]


@router.post(
    "/recommend",
    summary="Movies for one person: by user id, by ratings, or both; filtered, in pages",
    response_model=schemas.Recommendations,
)
async def recommend(request: Request, asked: schemas.RecommendRequest) -> Response:
    started = time.perf_counter()
    state = request.app.state
    model_store: ModelStore = state.model_store
    assignment = await assign_model(model_store, asked.model_name, asked.people)
    page = await page_for(state, assignment, asked, await request.body())
    answer = await _answered(state.details, page)
    state.served.note(logs.request_id.get(), assignment, asked, page.page, started)
    return answer


@router.get(
    "/popular",
    summary="Movies with the most ratings of late or of all time",
    response_model=schemas.Recommendations,
)
async def popular(
    request: Request, wanted: Narrowed, top_k: Size = 10, cursor: Cursor = None, days: Days = None
) -> Response:
    state = request.app.state
    model = await resolve_model(state.model_store, None)
    people = model.recommender.people
    made = await state.line.computed(
        lists.paginate,
        lambda shown: people.popular(wanted, exclude=shown, top_k=top_k, days=days),
        model,
        cursor,
    )
    return await _answered(state.details, made)


@router.get("/movies", summary="Movies by words of their titles", response_model=schemas.MoviePage)
async def movies(
    request: Request,
    wanted: Narrowed,
    query: Annotated[
        str,
        Query(
            max_length=schemas.LONGEST_QUERY,
            description="Words as they are typed: beginnings will do. Empty: all movies.",
            examples=["toy sto"],
        ),
    ] = "",
    top_k: Size = 10,
    cursor: Cursor = None,
) -> Response:
    state = request.app.state
    model = await resolve_model(state.model_store, None)
    rows, after = await state.line.computed(
        lists.search_movies, model.recommender, query, wanted, cursor, top_k
    )
    items = await lists.movie_payloads(model.recommender, rows, state.details)
    return _json({"items": items, "next": after}, model)


@router.get(
    "/movies/{movie_id}",
    summary="One movie",
    response_model=schemas.MovieShown,
    responses=NO_MOVIE,
)
async def movie(request: Request, movie_id: MovieId) -> Response:
    state = request.app.state
    model = await resolve_model(state.model_store, None)
    row = lists.movie_row(model.recommender, movie_id)
    [shown] = await lists.movie_payloads(model.recommender, [row], state.details)
    return _json(shown, model)


@router.get(
    "/movies/{movie_id}/similar",
    summary="What somebody who likes this movie may like",
    response_model=schemas.Recommendations,
    responses=NO_MOVIE,
)
async def similar(
    request: Request, movie_id: MovieId, wanted: Narrowed, top_k: Size = 10, cursor: Cursor = None
) -> Response:
    state = request.app.state
    model = await resolve_model(state.model_store, None)
    row = lists.movie_row(model.recommender, movie_id)
    people = model.recommender.people
    made = await state.line.computed(
        lists.paginate,
        lambda shown: people.similar(row, wanted, exclude=shown, top_k=top_k),
        model,
        cursor,
    )
    return await _answered(state.details, made)


@router.post(
    "/ratings",
    summary="Ratings of one person; durable when acknowledged, counted at once",
    response_model=schemas.RatingsAck,
    dependencies=[Depends(require_scope(WRITE))],
    responses={**KEYS, 409: {"model": errors.Problem, "description": "The key was for others"}},
)
async def rate(
    request: Request, given: schemas.GivenRatings, idempotency_key: IdempotencyKey = None
) -> Response:
    state = request.app.state
    # Whose list had the movies, has them in its catalogue.
    model = (await assign_model(state.model_store, None, [given.user_id])).model
    lists.require_known_movies(model.recommender, [one.movie_id for one in given.ratings])
    now = int(time.time())
    ratings = [
        NewRating(one.movie_id, one.stars, now if one.timestamp is None else one.timestamp)
        for one in given.ratings
    ]
    added = await run_in_threadpool(
        state.feedback.add,
        given.user_id,
        ratings,
        request_id=given.request_id,
        idempotency_key=idempotency_key,
        # As it was given: a repetition comes at another time, which counts where none is named.
        content=given.model_dump_json().encode(),
    )
    if not added.replayed:
        metrics.count_feedback("stored", added.stored)
        metrics.count_feedback("ignored", added.ignored)
    return _json(
        {"stored": added.stored, "ignored": added.ignored, "replayed": added.replayed}, model
    )


@router.get(
    "/ratings",
    summary="What one person gave here",
    response_model=schemas.OwnRatings,
    dependencies=[Depends(require_scope(WRITE))],
    responses=KEYS,
)
async def own_ratings(request: Request, user_id: schemas.UserQuery) -> Response:
    feedback: FeedbackCache = request.app.state.feedback
    feedback.check()
    said = feedback.for_user(user_id)
    ratings = [
        {
            "movie_id": one.movie_id,
            "stars": one.stars,
            "timestamp": one.timestamp,
            "request_id": one.request_id,
        }
        for one in (() if said is None else said.ratings)
    ]
    return _json({"user_id": user_id, "ratings": ratings})


@router.delete(
    "/ratings",
    summary="Forget one rating of a person, or all: also those of the data set, at the next ingest",
    response_model=schemas.Deleted,
    dependencies=[Depends(require_scope(WRITE))],
    responses=KEYS,
)
async def forget(
    request: Request, user_id: schemas.UserQuery, movie_id: schemas.MovieQuery | None = None
) -> Response:
    feedback: FeedbackCache = request.app.state.feedback
    gone = await run_in_threadpool(feedback.delete, user_id, movie_id)
    metrics.count_feedback("deleted", gone)
    return _json({"deleted": gone})


@router.get(
    "/models/{name}",
    summary="One model, by name, alias or version number",
    response_model=schemas.ModelShown,
)
async def model(
    request: Request, name: Annotated[str, Path(max_length=200, examples=["champion"])]
) -> Response:
    model_store: ModelStore = request.app.state.model_store
    version = await run_in_threadpool(model_store.version, name.removesuffix(".h5"))
    url = request.app.state.settings.mlflow_tracking_uri.rstrip("/")
    return _json(_model(version, url, loaded=model_store.loaded(str(version.number)) is not None))


def _model(version: Version, mlflow_url: str, *, loaded: bool) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.number,
        "family": version.family,
        "aliases": list(version.aliases),
        "metrics": dict(version.metrics),
        "parent": version.parent,
        "data_name": version.tags.get("data_name"),
        "data_hash": version.tags.get("data_hash"),
        "created_at": version.created_at,
        "run_id": version.run_id,
        "run_url": f"{mlflow_url}/#/runs/{version.run_id}",
        "loaded": loaded,
    }


async def _answered(details: Details, made: lists.RenderedPage) -> Response:
    body = await lists.render_page(made, details, logs.request_id.get())
    return Response(body, media_type="application/json", headers=lists.model_headers(made.model))


def _json(content: Any, model: LoadedModel | None = None) -> Response:
    """Checked by the routes' types in tests; serialising twice would cost more than the work."""
    headers = {} if model is None else lists.model_headers(model)
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)
