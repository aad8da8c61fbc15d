"""All processes of one stack are found and ended, and no others."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from moovier.errors import StackError
from moovier.stack import process_cleanup
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from tests.unit.stack.conftest import environment

#: Says that it is ready, and ends with its input at the latest.
_READY = "print('ready', flush=True); sys.stdin.read()"
POLITE = f"import sys; {_READY}"
STUBBORN = f"import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); {_READY}"


class Starter:
    """Starts processes of stacks and waits until they run."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, home: Path, script: str = POLITE) -> int:
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", script],
            env=environment(home),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # As Airflow's children do.
            start_new_session=True,
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process.pid


@pytest.fixture
def starter() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    for process in starter.started:
        process.kill()
        process.communicate()


def pids(home: Path) -> set[int]:
    return {process.pid for process in stack_processes(home)}


def test_processes_of_the_home_are_found_in_any_session(
    starter: Starter, home: Path, tmp_path: Path
) -> None:
    own = {starter.start(home), starter.start(home)}
    other = starter.start(tmp_path / "other")
    assert pids(home) == own
    assert pids(tmp_path / "other") == {other}
    assert pids(tmp_path) == set()


def test_this_process_and_zombies_do_not_count(
    starter: Starter, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = starter.start(home)
    this = psutil.Process()
    monkeypatch.setattr(this, "environ", lambda: environment(home))
    monkeypatch.setattr(psutil, "process_iter", lambda: [this, psutil.Process(pid)])
    assert this.pid == os.getpid()
    assert pids(home) == {pid}
    process = starter.started[0]
    process.kill()
    # Not reaped yet: its parent has not waited for it.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    assert pids(home) == set()


def test_all_processes_of_a_stack_are_ended(starter: Starter, home: Path, tmp_path: Path) -> None:
    starter.start(home)
    starter.start(home, STUBBORN)
    starter.start(tmp_path / "other")
    assert end_stack_processes(home, grace_s=0.2) == 2
    assert pids(home) == set()
    assert starter.started[2].poll() is None, "of another stack"
    assert end_stack_processes(home) == 0


def test_processes_that_survive_are_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Immortal:
        pid = 4711

        def name(self) -> str:
            return "zombie-maker"

        def terminate(self) -> None:
            raise psutil.NoSuchProcess(self.pid)

        def kill(self) -> None:
            """Survive."""

    monkeypatch.setattr(process_cleanup, "stack_processes", lambda _home: [Immortal()])
    monkeypatch.setattr(psutil, "wait_procs", lambda _processes, timeout: None)
    with pytest.raises(StackError, match=r"4711 \(zombie-maker\); end them by hand"):
        end_stack_processes(home, grace_s=0.0)
    # The fixture ends the processes of the home, too.
    monkeypatch.undo()
