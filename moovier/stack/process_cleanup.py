"""Finding and ending every process of one stack, also those that nobody supervises any more.

Airflow's children survive the SIGTERM of their parent, and a supervisor killed with -9 leaves
all of its children behind. Every process of a stack carries a marker in its environment, which
children inherit whatever session or group they move to.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from moovier.errors import StackError
from moovier.stack.environment import MARKER


def stack_processes(home: Path) -> list[psutil.Process]:
    """The living processes of the stack in ``home`` (absolute), without this one."""
    return [
        process
        for process in psutil.process_iter()
        if process.pid != os.getpid() and _belongs(process, home)
    ]


def _belongs(process: psutil.Process, home: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARKER) == str(
            home
        )
    except (psutil.Error, OSError):
        return False  # gone by now, or another user's


def end_stack_processes(home: Path, *, grace_s: float = 5.0) -> int:
    """SIGTERM, then after ``grace_s`` SIGKILL, to all that is left of the stack in ``home``.

    Returns how many there were.

    Raises:
        StackError: some are still there afterwards; names them.
    """
    left = stack_processes(home)
    ended = len(left)
    for process in left:
        _signal(process, kill=False)
    psutil.wait_procs(left, timeout=grace_s)
    # A dying parent may have started another child meanwhile: look until there is none.
    for _ in range(5):
        left = stack_processes(home)
        if not left:
            return ended
        for process in left:
            _signal(process, kill=True)
        psutil.wait_procs(left, timeout=2.0)
    raise StackError(
        "these processes could not be ended: "
        + ", ".join(f"{process.pid} ({process.name()})" for process in left)
    )


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        if kill:
            process.kill()
        else:
            process.terminate()
