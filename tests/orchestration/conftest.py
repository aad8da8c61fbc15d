"""One stack of `moovier up` for all files of this folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from moovier.settings import Settings
from moovier.stack.airflow_api import AirflowApi
from moovier.stack.environment import AIRFLOW_USER, read_secrets
from moovier.stack.process_cleanup import end_stack_processes, stack_processes
from moovier.stack.services import airflow_url, mlflow_url, service_url
from tests.orchestration.local_stack import (
    FIRST_START_S,
    MOOVIER,
    STOP_S,
    environment,
    predict,
    stack_settings,
)
from tests.orchestration.terminal import terminal


@pytest.fixture(scope="package")
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
    search = {"experiment_ids": ["1"], "filter": "tags.part = 'retraining'"}
    address = f"{mlflow_url(settings)}/api/2.0/mlflow/runs/search"
    (run,) = httpx.post(address, json=search, trust_env=False).json()["runs"]
    assert re.fullmatch(r"retraining \S+ \S+, new ratings", run["info"]["run_name"])
