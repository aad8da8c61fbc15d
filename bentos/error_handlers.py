"""Maps the exceptions of routes to error responses."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Receive, Scope, Send

from bentos.error_response import error_response
from bentos.schemas.person_ratings import RATINGS_FORMS
from moovier.errors import (
    BadRequest,
    BundleError,
    MoovierError,
    RegistryError,
    UnknownModel,
    UnknownMovie,
)
from moovier.feedback.errors import (
    FeedbackUnavailable,
    IdConflict,
    IdempotencyConflict,
    MovieConflict,
)

logger = logging.getLogger(__name__)

_INTERNAL_ERROR = "the request failed because of an internal error; see the service's log"
#: The first class that an error is an instance of decides.
_STATUS: tuple[tuple[type[MoovierError], int], ...] = (
    (UnknownModel, 404),
    (BadRequest, 422),
    (UnknownMovie, 404),
    (IdempotencyConflict, 409),
    (MovieConflict, 409),
    (IdConflict, 409),
    (RegistryError, 503),
    (BundleError, 503),
    (FeedbackUnavailable, 503),
)


def install(app: FastAPI) -> None:
    """Register the handlers of all exceptions that routes raise."""

    @app.exception_handler(RequestValidationError)
    async def invalid_request(request: Request, error: RequestValidationError) -> JSONResponse:
        return error_response(422, "; ".join(_describe(problem) for problem in error.errors()[:5]))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 400:
            # FastAPI answers 400 if a body is not UTF-8 or nested too deeply.
            return error_response(422, "the body is not valid JSON: it cannot be decoded")
        if error.status_code == 405:
            methods = ", ".join(_methods(request))
            detail = f"method {request.method} is not allowed; use {methods}"
            return error_response(405, detail, {"Allow": methods})
        return error_response(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(MoovierError)
    async def moovier_error(request: Request, error: MoovierError) -> JSONResponse:
        for kind, status in _STATUS:
            if isinstance(error, kind):
                return error_response(status, str(error))
        logger.error("a request failed", exc_info=error)
        return error_response(500, _INTERNAL_ERROR)

    @app.exception_handler(Exception)
    async def unexpected_error(request: Request, error: Exception) -> JSONResponse:
        # Starlette logs the stack trace.
        return error_response(500, _INTERNAL_ERROR)


class NotFoundRoute(BaseRoute):
    """Answers paths that no other route answers.

    As the last route it only matches partially, so that every full match wins, also one of the
    surrounding application.
    """

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match every HTTP request partially."""
        return (Match.PARTIAL if scope["type"] == "http" else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise the 404 error."""
        raise HTTPException(404, "not found; see /docs for the available routes")


def _methods(request: Request) -> list[str]:
    """Return the methods of all routes at a path; Starlette names only those of the first."""
    scope = request.scope
    at_path = (
        route.methods
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(scope)[0] is not Match.NONE
    )
    return sorted(method for methods in at_path for method in methods or ())


def _describe(problem: Mapping[str, Any]) -> str:
    """Return ``query.top_k: Input should be less than or equal to 1000``, for example."""
    if problem["type"] == "json_invalid":
        reason, character = problem["ctx"]["error"], problem["loc"][-1]
        return f"the body is not JSON: {reason} at character {character}"
    place = [str(part) for part in problem["loc"]]
    # Pydantic inserts the name of the union's member, which is not part of the request.
    if "ratings" in place:
        form = place.index("ratings") + 1
        if place[form : form + 1] and place[form] in RATINGS_FORMS:
            del place[form]
    return f"{'.'.join(place)}: {problem['msg']}"
