"""A container as a group of local processes, and how its processes are found and ended."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.stack_processes.compose import Service
from tests.stack_processes.container_paths import ContainerPaths

#: A variable in the environment of every process, which children inherit. Some programs, such as
#: Redis, wipe their environment; those are found by the process that was started.
MARKER = "_MOOVIER_CONTAINER"


@dataclass
class Container:
    """A container of a service. ``wanted``: the container should be running."""

    name: str
    paths: ContainerPaths
    command: list[str]
    user: str | None
    process: subprocess.Popen[bytes] | None = None
    wanted: bool = False
    healthy: bool = False
    starts: list[float] = field(default_factory=list)

    @property
    def service(self) -> Service:
        return self.paths.service

    @property
    def log(self) -> Path:
        return self.paths.folder / "log.txt"

    @property
    def exit_code(self) -> int | None:
        return None if self.process is None else self.process.poll()

    def family(self) -> list[psutil.Process]:
        """Return the started process and its descendants; empty once it has ended."""
        if self.process is None or self.exit_code is not None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            leader = psutil.Process(self.process.pid)
            return [leader, *leader.children(recursive=True)]
        return []

    @property
    def state(self) -> str:
        """The state in words: healthy, done, or what is wrong."""
        if self.exit_code is not None:
            return "done" if self.exit_code == 0 else f"exit code {self.exit_code}"
        if len(self.starts) != 1:
            return f"started {len(self.starts)} times"
        return "healthy" if self.healthy else "not healthy"


def marked_processes(belongs: Callable[[str], bool]) -> list[psutil.Process]:
    """Return the processes whose marker ``belongs`` accepts."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.status() != psutil.STATUS_ZOMBIE and belongs(
                process.environ().get(MARKER, "")
            ):
                processes.append(process)
    return processes


def end_processes(processes: list[psutil.Process], *, hard: bool) -> None:
    """Send SIGKILL (``hard``) or SIGTERM, and wait some seconds for the end."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGKILL if hard else signal.SIGTERM)
    psutil.wait_procs(processes, timeout=3.0 if hard else 8.0)
