"""Answers HEAD on every route that answers GET."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Head:
    """Sends a HEAD request on as GET, and sends the status and the headers of its answer.

    The headers are those of the GET request (RFC 9110, section 9.3.2), also Content-Length.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; remove the body from the answer to HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        def send_without_body(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            return send(message)

        # A copy, because the server decides by its own scope whether a body follows.
        as_get = {**scope, "method": "GET"}
        await self.app(as_get, receive, send_without_body)
        if "route" in as_get:
            scope["route"] = as_get["route"]
