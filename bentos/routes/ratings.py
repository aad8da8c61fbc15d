"""`/ratings`: users' ratings, stored, listed and deleted."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bentos import metrics
from bentos.app_state import context_of
from bentos.auth import WRITE
from bentos.error_response import Problem
from bentos.routes.responses import KEYS, json_response, require_scope
from bentos.schemas.ratings import (
    Deleted,
    GivenRatings,
    IdempotencyKey,
    MovieQuery,
    OwnRatings,
    RatingsAck,
    UserQuery,
)
from moovier.serving import ratings as serving

router = APIRouter(dependencies=[Depends(require_scope(WRITE))])


@router.post(
    "/ratings",
    summary="Store ratings of one person; the answer means that they are stored durably",
    response_model=RatingsAck,
    responses={
        **KEYS,
        409: {"model": Problem, "description": "The key was used for other ratings"},
    },
)
async def store(
    request: Request, body: GivenRatings, idempotency_key: IdempotencyKey = None
) -> Response:
    """Answer `POST /ratings`."""
    added, model = await serving.store_ratings(
        context_of(request),
        body.user_id,
        [rating.to_request() for rating in body.ratings],
        request_id=body.request_id,
        idempotency_key=idempotency_key,
        # Without the current time, so that a repeated request has the same content.
        content=body.model_dump_json().encode(),
    )
    if not added.replayed:
        metrics.count_feedback("stored", added.stored)
        metrics.count_feedback("ignored", added.ignored)
    content = {"stored": added.stored, "ignored": added.ignored, "replayed": added.replayed}
    return json_response(content, model)


@router.get(
    "/ratings",
    summary="Ratings that one person sent to this service",
    response_model=OwnRatings,
    responses=KEYS,
)
async def show(request: Request, user_id: UserQuery) -> Response:
    """Answer `GET /ratings`."""
    ratings = [
        {
            "movie_id": rating.movie_id,
            "stars": rating.stars,
            "timestamp": rating.timestamp,
            "request_id": rating.request_id,
        }
        for rating in serving.ratings_of(context_of(request), user_id)
    ]
    return json_response({"user_id": user_id, "ratings": ratings})


@router.delete(
    "/ratings",
    summary="Delete one rating of a person, or all; the next ingest deletes them from the data set",
    response_model=Deleted,
    responses=KEYS,
)
async def delete(
    request: Request, user_id: UserQuery, movie_id: MovieQuery | None = None
) -> Response:
    """Answer `DELETE /ratings`."""
    deleted = await serving.delete_ratings(context_of(request), user_id, movie_id)
    metrics.count_feedback("deleted", deleted)
    return json_response({"deleted": deleted})
