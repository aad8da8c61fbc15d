"""MLflow's own commands work on the champion."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import httpx
import pytest

from moovier.jobs.registration import open_registry
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server, end_group, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def settings(mlflow: Server, tmp_path: Path) -> Settings:
    """Return settings whose registry has a champion."""
    own = f"moovier-{uuid.uuid4().hex[:8]}"
    settings = Settings(
        home=tmp_path / "home",
        mlflow_tracking_uri=mlflow.address,
        registered_model=own,
        experiment=own,
    )
    version = register(settings, tmp_path, toy_bundle())
    open_registry(settings).promote(version, "the only one")
    return settings


def test_mlflow_models_serve_recommends_by_the_champion(settings: Settings, tmp_path: Path) -> None:
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # As in an activated environment: MLflow starts uvicorn by its name.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(str(Path(sys.executable).with_name("mlflow")), "models", "serve"),
                *("-m", f"models:/{settings.registered_model}@champion", "-p", str(port)),
                *("--env-manager", "local"),
            ],
            env={**environment, "MLFLOW_TRACKING_URI": settings.mlflow_tracking_uri},
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=address, trust_env=False, timeout=30) as http:
            deadline = time.monotonic() + 200
            while not _answers(http):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.5)
            body = {"dataframe_records": [{"user_id": 7}], "params": {"top_k": 2}}
            by_user = http.post("/invocations", json=body)
            body = {"dataframe_records": [{"ratings": [{"movie_id": 1, "stars": 5}]}]}
            by_ratings = http.post("/invocations", json=body)
    finally:
        end_group(process)
    (answer,) = Recommender(toy_bundle()).recommend([7], 2)
    assert by_user.json() == {
        "predictions": [
            {
                "movie_ids": [item.movie.id for item in answer.items],
                "titles": [item.movie.title for item in answer.items],
                "scores": [item.score for item in answer.items],
            }
        ]
    }
    assert 1 not in by_ratings.json()["predictions"][0]["movie_ids"]


def _answers(http: httpx.Client) -> bool:
    try:
        return http.get("/ping").is_success
    except httpx.HTTPError:
        return False
