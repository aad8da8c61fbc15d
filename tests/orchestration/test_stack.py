"""`moovier up` and `down` with real MLflow, Airflow and service on free ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
from pathlib import Path

import pytest

from moovier.settings import Settings
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import service_url
from moovier.stack.supervisor import Supervisor
from tests.orchestration.local_stack import (
    FIRST_START_S,
    MOOVIER,
    NEXT_START_S,
    QUICK_S,
    STOP_S,
    environment,
    moovier,
    predict,
    stack_settings,
)
from tests.orchestration.terminal import terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]


def supervised_pids(settings: Settings) -> dict[str, int]:
    """Return the process id of each supervised process by name."""
    states = Supervisor(settings.path()).states()
    return {name: state.pid for name, state in states.items()}


def test_next_start_does_not_retrain(stack: Settings) -> None:
    code, output = moovier(stack, "up", timeout_s=NEXT_START_S)
    assert code == 0, output
    assert "moovier_retrain" not in output
    assert predict(stack).status_code == 200

    # A second `up` restarts nothing. Only supervised processes are compared, because Airflow starts
    # and ends children all the time.
    before = supervised_pids(stack)
    code, output = moovier(stack, "up", timeout_s=QUICK_S)
    assert code == 0
    assert "already running" in output
    assert service_url(stack) in output
    assert supervised_pids(stack) == before

    # A stack of another home on the same ports is refused, and this one keeps running.
    other = stack.model_copy(update={"home": stack.home.with_name("other")})
    code, output = moovier(other, "up", timeout_s=QUICK_S)
    assert code == 1
    assert f"port {stack.port}" in output
    assert "MOOVIER_PORT" in output
    assert predict(stack).status_code == 200

    # `down` ends all processes even of a killed supervisor, and can be repeated.
    os.kill(int((stack.path("supervisord.pid")).read_text()), signal.SIGKILL)
    code, output = moovier(stack, "down", timeout_s=STOP_S)
    assert code == 0, output
    assert stack_processes(stack.path()) == []
    for port in (stack.port, stack.mlflow_port, stack.airflow_port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    code, output = moovier(stack, "down", timeout_s=QUICK_S)
    assert (code, output.strip()) == (0, "nothing is running")


def test_ctrl_c_during_the_start_ends_all_processes(stack: Settings) -> None:
    with terminal([MOOVIER, "up"], environment(stack)) as up:
        up.wait_for("supervisor started", QUICK_S)
        assert stack_processes(stack.path())
        up.press_ctrl_c()
        assert up.wait(STOP_S) == 130
    assert stack_processes(stack.path()) == []


# The supervisor's own session and a second `up`: tests/unit/stack/test_supervisor.py and
# test_next_start_does_not_retrain.
@pytest.mark.stack
def test_killed_start_is_resumed(stack: Settings) -> None:
    with terminal([MOOVIER, "up"], environment(stack)) as up:
        up.wait_for("supervisor started", QUICK_S)
        up.process.kill()
        up.process.wait()
    remaining = {process.pid for process in stack_processes(stack.path())}
    assert remaining, "the supervisor runs in a session of its own"
    code, output = moovier(stack, "up", "--detach", timeout_s=NEXT_START_S)
    assert code == 0, output
    assert "already running" in output
    code, output = moovier(stack, "down", timeout_s=STOP_S)
    assert code == 0, output
    assert stack_processes(stack.path()) == []


# The DAG with an invalid row: test_dag_failures.py. A failed task and the end of its log:
# tests/unit/stack/test_pipeline.py.
@pytest.mark.stack
def test_invalid_data_ends_the_start_with_file_row_and_reason(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Animation\n")
    (data / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,5.3,0\n")
    settings = stack_settings(tmp_path / "home").model_copy(update={"data": str(data)})
    try:
        code, output = moovier(settings, "up", timeout_s=FIRST_START_S)
        assert code == 1
        assert "task validate failed" in output
        assert re.search(r"ratings\.csv, row 2: .*5\.3", output)
        assert "task_id=validate/attempt=1.log" in output, "invalid rows are not retried"
        assert stack_processes(settings.path()) == []
    finally:
        end_stack_processes(settings.path())
        shutil.rmtree(settings.path(), ignore_errors=True)
