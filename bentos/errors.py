"""Every error as JSON of one shape, ``{"detail": "what was wrong and what would be right"}``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.problems import answer
from bentos.schemas import RATINGS_FORMS
from moovier.errors import (
    BadRequest,
    BundleError,
    MoovierError,
    RegistryError,
    UnknownModel,
    UnknownMovie,
)
from moovier.feedback.errors import FeedbackUnavailable, IdempotencyConflict

logger = logging.getLogger(__name__)

#: Bytes of a request's body at most: some 20,000 ratings.
MOST_BYTES = 1 << 20


def install(app: FastAPI) -> None:
    """Map the errors that routes raise."""

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(422, "; ".join(_reason(problem) for problem in error.errors()[:5]))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            # FastAPI's word for a body that is no text, or too much of a nest, to be read.
            return answer(422, "the body is not JSON: it cannot be read")
        if error.status_code == 405:
            methods = ", ".join(_methods(request))
            detail = f"{request.method} means nothing here; there is {methods}"
            return answer(405, detail, {"Allow": methods})
        return answer(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(MoovierError)
    async def ours(request: Request, error: MoovierError) -> JSONResponse:
        if isinstance(error, UnknownModel):
            return answer(404, str(error))
        if isinstance(error, BadRequest):
            return answer(422, str(error))
        if isinstance(error, UnknownMovie):
            return answer(404, str(error))
        if isinstance(error, IdempotencyConflict):
            return answer(409, str(error))
        if isinstance(error, RegistryError | BundleError | FeedbackUnavailable):
            return answer(503, str(error))
        logger.error("a request failed", exc_info=error)
        return answer(500, "the request failed; the log has the reason")

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        # Starlette logs it with its stack trace; the answer holds none.
        return answer(500, "the request failed; the log has the reason")


def _methods(request: Request) -> list[str]:
    """Of all routes at the path: Starlette names those of the first alone."""
    scope = request.scope
    at_path = (
        route.methods
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    )
    return sorted(method for methods in at_path for method in methods or ())


def _reason(problem: Mapping[str, Any]) -> str:
    """``query.top_k: Input should be less than or equal to 1000``."""
    if problem["type"] == "json_invalid":
        return f"the body is not JSON: {problem['ctx']['error']} at character {problem['loc'][-1]}"
    place = [str(part) for part in problem["loc"]]
    # Pydantic adds which form of ratings it read; nobody wrote that name.
    if place[1:2] == ["ratings"] and place[2:3] and place[2] in RATINGS_FORMS:
        del place[2]
    return f"{'.'.join(place)}: {problem['msg']}"


class Nowhere(BaseRoute):
    """Answers paths that nothing else does. Put last, it only ever matches in part, so that any
    full match wins, also one of the application around."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.PARTIAL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        raise HTTPException(404, "there is nothing here; /docs shows what there is")


class Problem(BaseModel):
    """How every error looks."""

    detail: str


class BodyLimit:
    """Turns away a body of more than ``MOST_BYTES``, whatever its header says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > MOST_BYTES:
            await _too_large()(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > MOST_BYTES:
                await _too_large()(scope, receive, send)
                return
        first = True

        async def replay() -> Message:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self._app(scope, replay, send)


def _too_large() -> JSONResponse:
    return answer(413, f"the body is larger than {MOST_BYTES} bytes; send less at a time")
