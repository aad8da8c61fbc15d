"""`moovier up` and `down` with real MLflow, Airflow and service on free ports."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from moovier.settings import Settings
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.environment import AIRFLOW_USER, read_secrets
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import airflow_url, mlflow_url, service_url
from moovier.stack.supervisor import Supervisor
from tests.orchestration.terminal import terminal
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
MOOVIER = str(Path(sys.executable).with_name("moovier"))
FIRST_START_S = 900
NEXT_START_S = 240
STOP_S = 100

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


def stack_settings(home: Path) -> Settings:
    return Settings(
        home=home,
        project=ROOT,
        port=free_port(),
        mlflow_port=free_port(),
        airflow_port=free_port(),
        data="sample",
        # One trial is enough for a champion; each further family takes 20 s.
        first_run_trials=1,
        families=("dae", "ease"),
        tuning_workers=1,
    )


def environment(settings: Settings) -> dict[str, str]:
    """Return the environment of a user who exports ``settings``, without this shell's own."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MOOVIER_", "MLFLOW_", "AIRFLOW", "TMDB_"))
    }
    exported = settings.model_dump(
        include={"home", "project", "port", "mlflow_port", "airflow_port", "data"}
        | {"first_run_trials", "tuning_workers"}
    )
    exported["families"] = ",".join(settings.families)
    return inherited | {f"MOOVIER_{name.upper()}": str(value) for name, value in exported.items()}


def moovier(settings: Settings, *arguments: str, timeout_s: float) -> tuple[int, str]:
    """Run a command without a terminal and return its exit code and output."""
    done = subprocess.run(
        [MOOVIER, *arguments],
        env=environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    return done.returncode, done.stdout


def predict(settings: Settings, **options: Any) -> httpx.Response:
    return httpx.post(
        f"{service_url(settings)}/predict", params=options, json=[1], timeout=30, trust_env=False
    )


def supervised_pids(settings: Settings) -> dict[str, int]:
    """Return the process id of each supervised process by name."""
    states = Supervisor(settings.path()).states()
    return {name: state.pid for name, state in states.items()}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home whose first start has finished in a terminal and was stopped by Ctrl-C."""
    settings = stack_settings(tmp_path_factory.mktemp("stack") / "home")
    try:
        with terminal([MOOVIER, "up"], environment(settings)) as up:
            up.wait_for("Ctrl-C stops everything", FIRST_START_S)
            check_first_start(settings, up.text)
            up.press_ctrl_c()
            assert up.wait(STOP_S) == 0
        assert stack_processes(settings.path()) == []
        yield settings
    finally:
        end_stack_processes(settings.path())


def check_first_start(settings: Settings, output: str) -> None:
    """Assert what a finished first start prints and serves."""
    for task in ("pull", "validate", "prepare", "tune [", "train [", "register", "gate", "promote"):
        assert f"✓   {task}" in output
    assert "SYNTHETIC" in output
    assert read_secrets(settings).airflow_password in output
    champion = re.search(r"Champion\s+(moovier_\w+)", output)
    assert champion is not None
    for address in (service_url(settings), airflow_url(settings), mlflow_url(settings)):
        assert address in output

    # The printed command works unchanged.
    (command,) = re.findall(r"^curl .*$", output, re.MULTILINE)
    answer = subprocess.run(
        command.replace("curl ", "curl -s --fail --noproxy '*' ", 1),
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0
    assert '"1"' in answer.stdout
    assert predict(settings, top_k=3).headers["X-Moovier-Model"] == champion[1]

    keys = read_secrets(settings)
    with AirflowApi(airflow_url(settings), AIRFLOW_USER, keys.airflow_password) as airflow:
        retraining = airflow.latest_run("moovier_retrain")
        assert retraining is not None
        assert retraining.state == "success"
        assert retraining.id.startswith("asset_triggered"), "the asset of the ingest starts it"


def test_next_start_does_not_retrain(stack: Settings) -> None:
    code, output = moovier(stack, "up", timeout_s=NEXT_START_S)
    assert code == 0, output
    assert "moovier_retrain" not in output
    assert predict(stack).status_code == 200

    # A second `up` restarts nothing. Only supervised processes are compared, because Airflow starts
    # and ends children all the time.
    before = supervised_pids(stack)
    code, output = moovier(stack, "up", timeout_s=60)
    assert code == 0
    assert "already running" in output
    assert service_url(stack) in output
    assert supervised_pids(stack) == before

    # A stack of another home on the same ports is refused, and this one keeps running.
    other = stack.model_copy(update={"home": stack.home.with_name("other")})
    code, output = moovier(other, "up", timeout_s=60)
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
    code, output = moovier(stack, "down", timeout_s=60)
    assert (code, output.strip()) == (0, "nothing is running")


def test_ctrl_c_during_the_start_ends_all_processes(stack: Settings) -> None:
    with terminal([MOOVIER, "up"], environment(stack)) as up:
        up.wait_for("supervisor started", 60)
        assert stack_processes(stack.path())
        up.press_ctrl_c()
        assert up.wait(STOP_S) == 130
    assert stack_processes(stack.path()) == []


# The supervisor's own session and a second `up`: tests/unit/stack/test_supervisor.py and
# test_next_start_does_not_retrain.
@pytest.mark.stack
def test_killed_start_is_resumed(stack: Settings) -> None:
    with terminal([MOOVIER, "up"], environment(stack)) as up:
        up.wait_for("supervisor started", 60)
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
