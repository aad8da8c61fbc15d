"""What the service's processes do about time-outs, and about a parent that is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.processes import Deadline
from tests.projects import ROOT

SCOPE: Scope = {"type": "http", "method": "GET", "path": "/", "headers": []}


def asked(app: ASGIApp) -> tuple[list[Message], int]:
    """What the application sends, and how many timers it leaves behind."""

    async def run() -> tuple[list[Message], int]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await app(dict(SCOPE), receive, send)
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        return sent, sum(not timer.cancelled() for timer in timers)

    return asyncio.run(run())


def test_an_answer_in_time_leaves_no_timer() -> None:
    sent, timers = asked(Deadline(PlainTextResponse("well"), 60.0))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[0]["status"] == 200
    assert timers == 0


def test_no_answer_in_time_is_said() -> None:
    async def asleep(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.sleep(60)

    sent, timers = asked(Deadline(asleep, 0.05))
    assert sent[0]["status"] == 504
    assert b"0.05 s" in sent[1]["body"]
    assert timers == 0


def test_half_an_answer_is_not_followed_by_another() -> None:
    async def half(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        asked(Deadline(half, 0.05))


def test_a_child_ends_with_its_parent() -> None:
    child = "import time; from bentos.processes import end_with_parent; end_with_parent(); "
    child += "print('up', flush=True); time.sleep(120)"
    parent = "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', sys.argv[1]]"
    parent += ", start_new_session=True); print(child.pid, flush=True); child.wait()"
    process = subprocess.Popen(
        [sys.executable, "-c", parent, child], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    pid = int(process.stdout.readline())
    try:
        assert process.stdout.readline() == "up\n"
        process.kill()
        process.wait()
        until = time.monotonic() + 20
        while time.monotonic() < until and _runs(pid):
            time.sleep(0.1)
        assert not _runs(pid)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    """Whether it is there and is no zombie that nobody has fetched."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
