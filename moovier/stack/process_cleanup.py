"""Find and end every process of one stack, including those without a supervisor.

Airflow's children survive the SIGTERM of their parent, and a supervisor killed with -9 leaves all
of its children behind. Every process of a stack has a marker in its environment. Children inherit
the marker even if they move to another session or group.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import psutil

from moovier.errors import StackError
from moovier.stack.environment import MARKER


def stack_processes(home: Path) -> list[psutil.Process]:
    """Return the living processes of the stack in ``home`` (absolute), without this one."""
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
        return False  # The process has ended, or belongs to another user.


def end_stack_processes(home: Path, *, grace_s: float = 5.0) -> int:
    """End all processes of the stack in ``home``: SIGTERM, and SIGKILL after ``grace_s`` seconds.

    Returns the number of processes at the start.

    Raises:
        StackError: Some processes survive; the message names them.
    """
    processes = stack_processes(home)
    ended = len(processes)
    for process in processes:
        _signal(process, kill=False)
    psutil.wait_procs(processes, timeout=grace_s)
    # A dying parent may start another child meanwhile.
    for _ in range(5):
        processes = stack_processes(home)
        if not processes:
            return ended
        for process in processes:
            _signal(process, kill=True)
        psutil.wait_procs(processes, timeout=2.0)
    raise StackError(
        "cannot end these processes: "
        + ", ".join(f"{process.pid} ({process.name()})" for process in processes)
        + "; end them by hand"
    )


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with suppress(psutil.NoSuchProcess):
        if kill:
            process.kill()
        else:
            process.terminate()
