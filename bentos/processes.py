"""What each of the service's processes does about itself."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

from bentoml._internal.server.http import traffic
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.problems import answer

logger = logging.getLogger(__name__)

#: Seconds between two looks at who the parent is.
LOOK_S = 1.0
#: A third of what anybody else gets who wants the processor, too. Less would not make answers come
#: sooner, and would let a training starve: docs/decisions/fine-tuning-beside-answers.md.
_NICENESS = 5
#: Where workers find the id of BentoML's master, which imports this before it starts them.
_MASTER = "SERVICE_MASTER_PID"
if "--worker-id" not in sys.argv:
    os.environ[_MASTER] = str(os.getpid())


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


def lower_priority() -> None:
    """Let others on this machine have more of the processor."""
    os.nice(_NICENESS)
    # Where Linux groups processes by session, as desktops do, niceness counts within a session
    # only, and BentoML gives each of its processes one. The group has a niceness of its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS))


def exit_with_parent() -> None:
    """End this process when its parent does: after ``kill -9`` of BentoML's master its workers
    would go on holding the port."""
    # Gone already, it is not the parent any more: then this ends at once.
    parent = int(os.environ[_MASTER])

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_S)
        logger.error("the parent process is gone: ending")
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
