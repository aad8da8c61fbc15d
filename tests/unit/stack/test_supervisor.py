"""Real supervisord, real processes, small ones."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from moovier.errors import StackError
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import ManagedProcess
from moovier.stack.supervisor import Supervisor, tail
from tests.unit.stack.conftest import environment, part

SLEEP = "import time; time.sleep(600)"
#: Ignores SIGTERM, as its child in a session of its own does.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 1:
    subprocess.Popen([sys.executable, __file__, "child"], start_new_session=True)
time.sleep(600)
"""


def eventually(condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "did not come about in time"
        time.sleep(0.05)


def test_parts_run_until_the_supervisor_is_shut_down(supervisor: Supervisor, home: Path) -> None:
    parts = [part("one", SLEEP, home), part("two", SLEEP, home, autostart=False)]
    assert not supervisor.running()
    supervisor.start(parts, environment(home))

    assert supervisor.running()
    eventually(lambda: supervisor.states()["one"].state == "RUNNING")
    assert supervisor.states()["two"].state == "STOPPED"
    supervisor.start_part("two")
    supervisor.start_part("two")  # running already: not an error
    eventually(lambda: supervisor.states()["two"].state == "RUNNING")

    assert supervisor.shut_down(20)
    eventually(lambda: not stack_processes(home))
    assert not supervisor.running()


def test_it_lives_in_a_session_of_its_own(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", SLEEP, home)], environment(home))
    assert os.getsid(0) not in {os.getsid(process.pid) for process in stack_processes(home)}


def test_a_part_that_keeps_dying_is_given_up_on_with_its_log(
    supervisor: Supervisor, home: Path
) -> None:
    broken = part("broken", "raise SystemExit('no such database')", home)
    supervisor.start([broken], environment(home))
    eventually(lambda: supervisor.states()["broken"].failed, timeout_s=30)
    said = tail(supervisor.log("broken"))
    assert "no such database" in said
    assert str(supervisor.log("broken")) in said


def test_a_killed_part_comes_back(supervisor: Supervisor, home: Path) -> None:
    supervisor.start([part("one", SLEEP, home)], environment(home))
    eventually(lambda: supervisor.states()["one"].state == "RUNNING")
    first = supervisor.states()["one"].pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: (now := supervisor.states()["one"]).state == "RUNNING" and now.pid != first)


def test_nothing_survives_a_killed_supervisor_and_it_starts_again(
    supervisor: Supervisor, home: Path
) -> None:
    script = home / "stubborn.py"
    script.write_text(STUBBORN)
    parts = [ManagedProcess("stubborn", (sys.executable, str(script)), home)]
    supervisor.start(parts, environment(home))
    eventually(lambda: len(stack_processes(home)) == 3)
    pid = int((home / "supervisord.pid").read_text())
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not psutil.pid_exists(pid) or len(stack_processes(home)) == 2)
    assert not supervisor.running()
    assert not supervisor.shut_down(1)

    assert end_stack_processes(home, grace_s=0.5) == 2
    assert stack_processes(home) == []
    supervisor.start(parts, environment(home))  # the dead one's socket is no obstacle
    assert supervisor.running()


def test_other_stacks_are_left_alone(supervisor: Supervisor, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    supervisor.start([part("one", SLEEP, home)], environment(home))
    before = {process.pid for process in stack_processes(home)}
    assert end_stack_processes(other) == 0
    assert {process.pid for process in stack_processes(home)} == before


def test_a_home_too_deep_for_a_socket(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 60) / ("e" * 60) / "100% home; [x]"
    home.mkdir(parents=True)
    supervisor = Supervisor(home)
    try:
        supervisor.start([part("one", SLEEP, home)], environment(home))
        assert supervisor.running()
        assert supervisor.shut_down(20)
    finally:
        end_stack_processes(home, grace_s=0.5)


def test_a_configuration_that_supervisord_refuses(supervisor: Supervisor, home: Path) -> None:
    with pytest.raises(StackError, match="the supervisor did not start"):
        supervisor.start([part("bad:name", SLEEP, home / "missing", stop_wait_s=-1)], {"PATH": ""})


def test_no_supervisor_no_states(supervisor: Supervisor) -> None:
    with pytest.raises(StackError, match="does not answer"):
        supervisor.states()


def test_tail_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert tail(tmp_path / "none.log") == f"the whole log: {tmp_path / 'none.log'}"


def test_tail_keeps_the_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "some.log"
    log.write_bytes(b"".join(b"line %d\xff\n" % number for number in range(100)))
    lines = tail(log, lines=3).splitlines()
    assert [line.strip()[:7] for line in lines[:-1]] == ["line 97", "line 98", "line 99"]
