"""What each of the service's processes does about itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time

from bentoml._internal.server.http import traffic
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.errors import answer

logger = logging.getLogger(__name__)

#: Seconds between two looks at who the parent is.
LOOK_S = 1.0


class Deadline:
    """BentoML's time-out, without what it leaves behind: that one sets a timer for each request and
    lets it run to the end, so that a kilobyte a request stays for minutes, and it goes on waiting
    for an answer to somebody who hung up."""

    def __init__(self, app: ASGIApp, timeout: float) -> None:
        self._app = app
        self._timeout_s = timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(self._timeout_s):
                await self._app(scope, receive, noting)
        except TimeoutError:
            if begun:
                raise
            await answer(504, f"no answer within {self._timeout_s:g} s")(scope, receive, send)


def use_deadlines() -> None:
    """Let BentoML build its applications with :class:`Deadline`; it has no setting for none."""
    traffic.TimeoutMiddleware = Deadline


def end_with_parent() -> None:
    """End this process when its parent does: after ``kill -9`` of BentoML's master its workers
    would go on holding the port."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        logger.error("the parent process is gone: ending")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
