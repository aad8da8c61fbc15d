"""Names the OpenTelemetry span of each request."""

from __future__ import annotations

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos import logs, tracing
from bentos.middleware.route_name import method_and_route


class Span:
    """Gives the span of a request its id, and the route's template as its name."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and name its span."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        def send_and_name(message: Message) -> Awaitable[None]:
            # The route is known by now, and the span ends with the last byte of the response.
            if message["type"] == "http.response.start":
                tracing.name_span(logs.request_id.get(), *method_and_route(scope))
            return send(message)

        await self.app(scope, receive, send_and_name)
