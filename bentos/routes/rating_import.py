"""`/ratings/match` and `/ratings/import`: ratings that people bring from other services."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from bentos import metrics
from bentos.app_state import context_of
from bentos.auth import WRITE
from bentos.routes.responses import KEYS, json_response, require_scope
from bentos.schemas.rating_import import FILE_BODY, FileImported, FileMatched, imported, matched
from bentos.schemas.ratings import UserQuery
from moovier.serving import rating_import as serving

router = APIRouter()


@router.post(
    "/ratings/match",
    summary="The movies in a file of ratings from another service; stores nothing",
    response_model=FileMatched,
    openapi_extra=FILE_BODY,
)
async def match(request: Request) -> Response:
    """Answer `/ratings/match`."""
    file, model = await serving.match(context_of(request), await request.body())
    return json_response(matched(file), model)


@router.post(
    "/ratings/import",
    summary="Store the ratings of a file from another service; a second time changes nothing",
    response_model=FileImported,
    responses=KEYS,
    openapi_extra=FILE_BODY,
    dependencies=[Depends(require_scope(WRITE))],
)
async def import_file(request: Request, user_id: UserQuery) -> Response:
    """Answer `/ratings/import`."""
    content = await request.body()
    result, model = await serving.import_ratings(context_of(request), user_id, content)
    metrics.count_feedback("stored", result.stored)
    metrics.count_feedback("ignored", result.ignored)
    return json_response(imported(result), model)
