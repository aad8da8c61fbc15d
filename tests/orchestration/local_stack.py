"""The stack of `moovier up` as a user runs it, with the sample on free ports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from moovier.settings import Settings
from moovier.stack.services import service_url
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
MOOVIER = str(Path(sys.executable).with_name("moovier"))
#: The longest waits, on a machine where other work keeps all cores busy; an idle one takes a tenth.
FIRST_START_S = 1200
NEXT_START_S = 600
STOP_S = 200
QUICK_S = 200


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
        preload_trainer=False,
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
        | {"first_run_trials", "tuning_workers", "preload_trainer"}
    )
    exported["families"] = ",".join(settings.families)
    return inherited | {f"MOOVIER_{name.upper()}": str(value) for name, value in exported.items()}


def moovier(
    settings: Settings,
    *arguments: str,
    timeout_s: float,
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run a command without a terminal and return its exit code and output."""
    done = subprocess.run(
        [MOOVIER, *arguments],
        env={**environment(settings), **(variables or {})},
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
