"""Limits the time of a request."""

from __future__ import annotations

import asyncio

from bentoml._internal.server.http import traffic
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.error_response import error_response


class TimeOut:
    """Answers 504 to a request that takes too long.

    It replaces BentoML's own time-out, which sets a timer for each request and never cancels it, so
    that a kilobyte per request stays in memory for minutes. BentoML's also goes on waiting for the
    answer to a client that disconnected.
    """

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self.app = app
        self._timeout_s = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and stop it after the time-out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_started = False

        async def send_and_note(message: Message) -> None:
            nonlocal is_started
            is_started = True
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_s):
                await self.app(scope, receive, send_and_note)
        except TimeoutError:
            if is_started:
                raise
            response = error_response(504, f"no answer within {self._timeout_s:g} s")
            await response(scope, receive, send)


def replace_bentoml_time_out() -> None:
    """Make BentoML build its applications with :class:`TimeOut`; it has no setting for this."""
    traffic.TimeoutMiddleware = TimeOut
