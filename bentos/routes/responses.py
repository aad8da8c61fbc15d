"""Responses and dependencies that several routes share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from bentos.app_state import state_of
from bentos.error_response import Problem
from bentos.model_headers import model_headers
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.recommend import PageAnswer

#: Responses for the OpenAPI document.
Responses = dict[int | str, dict[str, Any]]
NO_MOVIE: Responses = {404: {"model": Problem, "description": "No such movie"}}
KEYS: Responses = {
    401: {"model": Problem, "description": "An API key is needed"},
    403: {"model": Problem, "description": "The API key lacks the scope"},
}


def json_response(content: Any, model: LoadedModel | None = None) -> Response:
    """Return ``content`` as JSON, with the headers of the model that answered.

    The response is not validated: serialising it twice would cost more than the computation. Tests
    check it against the declared schema.
    """
    headers = {} if model is None else model_headers(model)
    return Response(orjson.dumps(content), media_type="application/json", headers=headers)


def page_response(answer: PageAnswer) -> Response:
    """Return a rendered page, with the headers of the model that made it."""
    headers = model_headers(answer.model)
    return Response(answer.body, media_type="application/json", headers=headers)


def require_scope(key_scope: str) -> Callable[[Request], Awaitable[None]]:
    """Return a FastAPI dependency that checks a request's API key for ``key_scope``."""

    async def check(request: Request) -> None:
        authenticator = state_of(request).authenticator
        if authenticator is None:
            raise HTTPException(503, "the service is starting; try again in a few seconds")
        await authenticator.check(request, key_scope)

    return check
