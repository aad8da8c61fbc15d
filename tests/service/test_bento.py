"""`bentoml build`, `bentoml serve moovier:latest`, `bentoml list`: as people run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bentoml
import pytest
import yaml

from tests.dvc_checkout import ROOT
from tests.servers import Server, end_group, free_port
from tests.service.conftest import environment, own_settings, promote, published

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]
CHAMPION = "moovier_popular_1_trained_0"
BENTOML = str(Path(sys.executable).with_name("bentoml"))


@dataclass(frozen=True)
class Built:
    """A Bento with a champion. ``folder`` is its folder in BentoML's store."""

    folder: Path
    variables: dict[str, str]

    def run(self, *command: str) -> str:
        return _run(command, self.variables, ROOT)


@pytest.fixture(scope="module")
def built(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("bento")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder, CHAMPION))
    variables = environment(settings, PYTHONPATH=str(ROOT))
    _run([sys.executable, "-m", "bentos.pack_champion"], variables, ROOT)
    tag = _run([BENTOML, "build", "-o", "tag"], variables, ROOT).split("moovier:")[-1].strip()
    # No MLflow, no home of the developer, no checkout on the path.
    variables |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "HOME": str(folder / "person")}
    del variables["MOOVIER_HOME"], variables["PYTHONPATH"]
    return Built(Path(variables["BENTOML_HOME"], "bentos", "moovier", tag), variables)


@pytest.fixture(scope="module")
def served(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    elsewhere, port = tmp_path_factory.mktemp("elsewhere"), free_port()
    with (built.folder.parent / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [BENTOML, "serve", "moovier:latest", "--host", "127.0.0.1", "--port", str(port)],
            env=built.variables,
            cwd=elsewhere,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end_group(process)
    assert list(elsewhere.iterdir()) == []


def test_served_bento_answers_with_its_champion_without_mlflow(served: str, built: Built) -> None:
    with bentoml.SyncHTTPClient(served, server_ready_timeout=120) as client:
        assert client.request("GET", "/readyz").json()["champion"]["name"] == CHAMPION
        assert len(client.predict(users=[7], top_k=2)["7"]) == 2
    assert (Path(built.variables["HOME"]) / ".moovier").is_dir()
    assert not (built.folder / "src" / ".moovier").exists()


def test_bento_is_listed_with_its_model(built: Built) -> None:
    (bento,) = json.loads(built.run(BENTOML, "list", "-o", "json"))
    assert bento["tag"] == f"moovier:{built.folder.name}"
    (model,) = json.loads(built.run(BENTOML, "models", "list", "-o", "json"))
    content = yaml.safe_load((built.folder / "bento.yaml").read_text())
    packed = [item["tag"] for service in content["services"] for item in service["models"]]
    assert packed == [model["tag"]]
    shown = json.loads(built.run(BENTOML, "models", "get", model["tag"], "-o", "json"))
    assert shown["labels"] == {"name": CHAMPION, "version": "1"}


def test_requirements_are_those_of_the_lock_without_training(built: Built) -> None:
    requirements = (built.folder / "env" / "python" / "requirements.txt").read_text()
    pins = {line for line in requirements.splitlines() if "==" in line}
    # Some lines of the lock have a marker behind the version.
    locked = (ROOT / "requirements.lock").read_text().splitlines()
    assert pins <= {line.partition(";")[0].strip() for line in locked}
    assert not {pin.partition("==")[0] for pin in pins} & {"tensorflow-cpu", "mlflow", "pandas"}
    assert "USER bentoml" in (built.folder / "env" / "docker" / "Dockerfile").read_text()


#: Answers as Docker does, and keeps the context of the build instead of building it.
DOCKER = """#!/bin/sh
case "$1" in
version) echo '"27.0.0"' ;;
build) for context; do :; done; cp -r "$context" "$KEPT"; echo "$@" > "$KEPT/arguments" ;;
esac
"""


def test_containerize_hands_docker_a_whole_context(built: Built, tmp_path: Path) -> None:
    docker, context = tmp_path / "bin" / "docker", tmp_path / "context"
    docker.parent.mkdir()
    docker.write_text(DOCKER)
    docker.chmod(0o755)
    path = f"{docker.parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**built.variables, "PATH": path, "KEPT": str(context)}
    tag = f"moovier:{built.folder.name}"
    command = (BENTOML, "containerize", "moovier:latest", "--image-tag", tag)
    _run(command, variables, tmp_path)
    assert f"--tag {tag}" in (context / "arguments").read_text()
    assert (context / "src" / "bentos" / "service.py").is_file()
    (model,) = json.loads(built.run(BENTOML, "models", "list", "-o", "json"))
    name, version = model["tag"].split(":")
    assert any((context / "models" / name / version).iterdir())

    lines = (context / "env" / "docker" / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("FROM python:3.11-slim") for line in lines)
    assert "EXPOSE 3000" in lines
    # Nothing of this machine, and no process as root.
    assert not [line for line in lines if str(ROOT) in line or "://" in line]
    users = [line for line in lines if line.startswith("USER ")]
    assert users[-1] == "USER bentoml"
    copied = [line.split()[-2] for line in lines if line.startswith("COPY ")]
    assert copied
    assert all((context / source).exists() for source in copied if not source.startswith("/"))
    assert [line for line in lines if line.startswith("ENTRYPOINT ")]


def _run(command: tuple[str, ...] | list[str], variables: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        command, env=variables, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
