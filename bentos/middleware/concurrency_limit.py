"""Limits the number of requests in flight: beyond it, a retry is quicker than waiting."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from bentos import metrics
from bentos.error_response import error_response

#: Most requests in flight.
MAX_IN_FLIGHT = 256
#: Paths without a limit: they show the state of a busy service.
_EXEMPT = ("/metrics", "/livez", "/readyz")


class ConcurrencyLimit:
    """Counts the requests in flight and answers 503 to those beyond ``max_in_flight``."""

    def __init__(self, app: ASGIApp, *, max_in_flight: int = MAX_IN_FLIGHT) -> None:
        self.app = app
        self._max_in_flight = max_in_flight
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it."""
        if scope["type"] != "http" or scope["path"] in _EXEMPT:
            await self.app(scope, receive, send)
            return
        if self._in_flight >= self._max_in_flight:
            response = error_response(503, "too many requests in flight; try again later")
            await response(scope, receive, send)
            return
        self._in_flight += 1
        metrics.change_in_flight(1)
        try:
            await self.app(scope, receive, send)
        finally:
            self._in_flight -= 1
            metrics.change_in_flight(-1)
