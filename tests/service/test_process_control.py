"""The service's processes: their end with their parent, and their priority."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.dvc_checkout import ROOT

#: Imports the module as BentoML's master does, then starts a child that writes to the same standard
#: output. A line sent to the parent goes on to the child.
PARENT = """
import subprocess, sys, bentos.process_control
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
from bentos.process_control import exit_with_parent
exit_with_parent()
print("watching", flush=True)
time.sleep(120)
"""


@pytest.mark.parametrize("killed", ["while the child watches", "before the child looks"])
def test_child_ends_with_its_parent(killed: str) -> None:
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
        end = time.monotonic() + 90
        while time.monotonic() < end and _runs(child):
            time.sleep(0.1)
        assert not _runs(child)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        parent.stdin.close()


def test_lower_priority_applies_to_process_and_group() -> None:
    code = """
import os, pathlib
from bentos.process_control import lower_priority
lower_priority()
group = pathlib.Path("/proc/self/autogroup")
print(os.nice(0), group.read_text().split()[-1] if group.exists() else "none")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        start_new_session=True,
    )
    own, group = done.stdout.split()
    # The test may itself run at a lower priority.
    assert own == str(min(os.nice(0) + 5, 19))
    assert group in ("5", "none")


def _runs(pid: int) -> bool:
    """Return whether a process exists and is not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
