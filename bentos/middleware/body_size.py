"""Limits the size of request bodies."""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.error_response import error_response

#: Largest body in bytes: some 20,000 ratings.
MAX_BODY_BYTES = 1 << 20
#: Largest body of the routes that take a file: an export of Letterboxd with all reviews.
MAX_FILE_BYTES = 16 << 20
FILE_PATHS = frozenset(("/ratings/match", "/ratings/import"))


class BodySize:
    """Answers 413 to a body that is too large, even if its header says otherwise."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole body and hand it on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = limit_of(scope)
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > limit:
            await too_large(limit)(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                await too_large(limit)(scope, receive, send)
                return
        is_first = True

        async def replay() -> Message:
            nonlocal is_first
            if is_first:
                is_first = False
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        await self.app(scope, replay, send)


def limit_of(scope: Scope) -> int:
    """Return the size in bytes of the largest body that a path takes."""
    return MAX_FILE_BYTES if scope["path"] in FILE_PATHS else MAX_BODY_BYTES


def too_large(limit: int) -> JSONResponse:
    """Return the answer to a body of more than ``limit`` bytes."""
    return error_response(413, f"the body is larger than {limit} bytes; send less at once")
