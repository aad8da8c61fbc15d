"""`/recommend`: movies for one user or visitor."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from bentos import logs
from bentos.app_state import context_of
from bentos.routes.responses import page_response
from bentos.schemas.pages import Recommendations
from bentos.schemas.recommend import RecommendRequest
from moovier.serving import recommend as serving
from moovier.serving.group import recommend_for_group

router = APIRouter()


@router.post(
    "/recommend",
    summary="Movies for one person or several: by user id, by ratings, or both; filtered, in pages",
    response_model=Recommendations,
)
async def recommend(request: Request, body: RecommendRequest) -> Response:
    """Answer `/recommend`."""
    group = body.to_group_request()
    if group is not None:
        return page_response(
            await recommend_for_group(context_of(request), group, request_id=logs.request_id.get())
        )
    answer = await serving.recommend(
        context_of(request),
        body.to_request(),
        key=await request.body(),
        request_id=logs.request_id.get(),
    )
    return page_response(answer)
