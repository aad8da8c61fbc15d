"""Run a real supervisord with small processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from moovier.errors import StackError
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import ManagedProcess
from moovier.stack.supervisor import Supervisor, tail
from tests.unit.stack.conftest import environment, python_process

SLEEP = "import time; time.sleep(600)"
#: Ignores SIGTERM and starts a child in a session of its own that ignores it too.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True)
time.sleep(600)
"""


def wait_for(condition: Callable[[], bool], timeout_s: float = 180.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"the condition was not met within {timeout_s} s"
        time.sleep(0.05)


def wait_for_programs(home: Path, *arguments: str) -> set[int]:
    """Wait until supervisord and one program per argument run; return their process ids.

    ``arguments`` are the last ones of the programs' command lines. A child that has been forked
    but has not started its program yet still has the command line of its parent, and for a moment
    none at all.
    """
    expected = sorted((*arguments, str(home / "supervisord.ini")))

    def last_arguments() -> list[str]:
        with suppress(psutil.Error):
            return sorted((process.cmdline() or [""])[-1] for process in stack_processes(home))
        return []

    wait_for(lambda: last_arguments() == expected)
    return {process.pid for process in stack_processes(home)}


def test_processes_run_until_the_supervisor_is_shut_down(
    supervisor: Supervisor, home: Path
) -> None:
    processes = [
        python_process("first", SLEEP, home),
        python_process("second", SLEEP, home, autostart=False),
    ]
    assert not supervisor.running()
    supervisor.start(processes, environment(home))

    assert supervisor.running()
    wait_for(lambda: supervisor.states()["first"].state == "RUNNING")
    assert supervisor.states()["second"].state == "STOPPED"
    supervisor.start_process("second")
    supervisor.start_process("second")  # Starting a running process is no error.
    wait_for(lambda: supervisor.states()["second"].state == "RUNNING")

    assert supervisor.shut_down(20)
    wait_for(lambda: not stack_processes(home))
    assert not supervisor.running()


def test_supervisor_has_its_own_session(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([python_process("program", SLEEP, home)], environment(home))
    pids = wait_for_programs(home, SLEEP)
    assert os.getsid(0) not in {os.getsid(pid) for pid in pids}


def test_process_that_keeps_ending_fails_and_has_a_log(supervisor: Supervisor, home: Path) -> None:
    broken = python_process("broken", "raise SystemExit('no such database')", home)
    supervisor.start([broken], environment(home))
    wait_for(lambda: supervisor.states()["broken"].failed)
    log = tail(supervisor.log("broken"))
    assert "no such database" in log
    assert str(supervisor.log("broken")) in log


def test_killed_process_is_restarted(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([python_process("program", SLEEP, home)], environment(home))
    wait_for(lambda: supervisor.states()["program"].state == "RUNNING")
    first = supervisor.states()["program"].pid
    os.kill(first, signal.SIGKILL)

    def restarted() -> bool:
        program = supervisor.states()["program"]
        return program.state == "RUNNING" and program.pid != first

    wait_for(restarted)


def test_processes_of_a_killed_supervisor_are_ended_and_it_starts_again(
    supervisor: Supervisor, home: Path
) -> None:
    script = home / "stubborn.py"
    script.write_text(STUBBORN)
    processes = [ManagedProcess("stubborn", (sys.executable, str(script)), home)]
    supervisor.start(processes, environment(home))
    wait_for_programs(home, str(script), "child")
    os.kill(int((home / "supervisord.pid").read_text()), signal.SIGKILL)
    wait_for(lambda: len(stack_processes(home)) == 2)
    assert not supervisor.running()
    assert not supervisor.shut_down(1)

    assert end_stack_processes(home, grace_s=0.5) == 2
    assert stack_processes(home) == []
    # The socket of the killed supervisor still exists.
    supervisor.start(processes, environment(home))
    assert supervisor.running()


def test_other_stacks_are_left_alone(supervisor: Supervisor, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    supervisor.start([python_process("program", SLEEP, home)], environment(home))
    pids = wait_for_programs(home, SLEEP)
    assert end_stack_processes(other) == 0
    assert {process.pid for process in stack_processes(home)} == pids


def test_home_path_may_be_too_long_for_a_socket(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 60) / ("e" * 60) / "100% home; [x]"
    home.mkdir(parents=True)
    supervisor = Supervisor(home)
    try:
        supervisor.start([python_process("program", SLEEP, home)], environment(home))
        assert supervisor.running()
        assert supervisor.shut_down(20)
    finally:
        end_stack_processes(home, grace_s=0.5)


def test_invalid_configuration_is_reported(supervisor: Supervisor, home: Path) -> None:
    invalid = python_process("bad:name", SLEEP, home / "missing", stop_wait_s=-1)
    with pytest.raises(StackError, match="the supervisor did not start"):
        supervisor.start([invalid], {"PATH": ""})


def test_states_without_a_supervisor_raise(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match="does not answer"):
        supervisor.states()


def test_tail_of_a_missing_log_is_its_path(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == f"full log: {tmp_path / 'none.log'}"


def test_tail_has_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_bytes(b"".join(b"line %d\xff\n" % number for number in range(100)))
    lines = tail(log, lines=3).splitlines()
    assert [line.strip()[:7] for line in lines[:-1]] == ["line 97", "line 98", "line 99"]
