"""Bounds how many requests wait: beyond that, coming back later is quicker than waiting."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from bentos import metrics
from bentos.problems import answer

#: Requests under way at most; those that a full service needs to show what it does go through.
MOST_IN_FLIGHT = 256
_ALWAYS = ("/metrics", "/livez", "/readyz")


class ConcurrencyLimit:
    """Answers 503 where ``MOST_IN_FLIGHT`` requests are under way."""

    def __init__(self, app: ASGIApp, *, most: int = MOST_IN_FLIGHT) -> None:
        self._app = app
        self._most = most
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ALWAYS:
            await self._app(scope, receive, send)
            return
        if self._count >= self._most:
            busy = answer(503, "too many requests are under way; come back later")
            await busy(scope, receive, send)
            return
        self._count += 1
        metrics.in_flight(1)
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1
            metrics.in_flight(-1)
