"""`/models`: the registered models."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from bentos.app_state import context_of
from bentos.routes.responses import json_response
from bentos.schemas.fields import MAX_MODEL_NAME, strip_h5
from bentos.schemas.ops import ModelShown
from moovier.serving.overview import describe_model

router = APIRouter()


@router.get("/models", summary="Names of the registered models, newest first")
async def names(request: Request) -> list[str]:
    """Answer `/models`."""
    return await run_in_threadpool(context_of(request).model_store.names)


@router.get(
    "/models/{name}",
    summary="One model, by name, alias or version number",
    response_model=ModelShown,
)
async def model(
    request: Request, name: Annotated[str, Path(max_length=MAX_MODEL_NAME, examples=["champion"])]
) -> Response:
    """Answer `/models/{name}`."""
    context = context_of(request)
    model_store = context.model_store
    version = await run_in_threadpool(model_store.version, strip_h5(name) or "")
    is_loaded = model_store.loaded(str(version.number)) is not None
    return json_response(describe_model(version, context.settings, loaded=is_loaded))
