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
from tests.dvc_checkout import ROOT

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


#: Imports the module as BentoML's master does, then starts a child, which says what it does to the
#: same standard output; a line to the parent goes on to the child.
PARENT = """
import subprocess, sys, bentos.processes
child = subprocess.Popen(
    [sys.executable, "-c", sys.argv[1], "--worker-id", "1"],
    start_new_session=True,
    stdin=subprocess.PIPE,
)
print(child.pid, flush=True)
child.stdin.write(sys.stdin.buffer.readline())
child.stdin.flush()
child.wait()
"""
CHILD = """
import sys, time
print("up", flush=True)
sys.stdin.readline()
from bentos.processes import end_with_parent
end_with_parent()
print("watching", flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("killed", ["while the child watches", "before the child looks"])
def test_a_child_ends_with_its_parent(killed: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        assert parent.stdout.readline() == "up\n"
        if killed == "while the child watches":
            parent.stdin.write("go on\n")
            parent.stdin.flush()
            assert parent.stdout.readline() == "watching\n"
            assert _runs(child)
        # The child's input ends with the parent.
        parent.kill()
        parent.wait()
        until = time.monotonic() + 20
        while time.monotonic() < until and _runs(child):
            time.sleep(0.1)
        assert not _runs(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        parent.stdin.close()


def test_the_trainer_gives_way_as_a_process_and_as_a_group() -> None:
    code = "import os, pathlib; from bentos.processes import give_way; give_way(); "
    code += "group = pathlib.Path('/proc/self/autogroup'); "
    code += "print(os.nice(0), group.read_text().split()[-1] if group.exists() else 'none')"
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        start_new_session=True,
    )
    assert said.stdout.split() in (["5", "5"], ["5", "none"])


def _runs(pid: int) -> bool:
    """Whether it is there and is no zombie that nobody has fetched."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
