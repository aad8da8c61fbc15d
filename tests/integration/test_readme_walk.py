"""The README's way from `make up` to a model's reasons, its rows and another server.

`make up` itself: tests/orchestration/test_stack.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from moovier.data.dvc_hash import directory_hash
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.jobs.registration import open_registry
from moovier.models.bundle import DataFacts
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from tests.dvc_checkout import ROOT, new_project
from tests.fixtures import toy_bundle, toy_movielens
from tests.orchestration.local_stack import environment
from tests.registry_fixtures import register
from tests.servers import Server, end_group, free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HEADING = "## Why this model, on which rows, and elsewhere"
REASON = "promoted: better than popularity"


@dataclass(frozen=True)
class Walk:
    """The commands of the README, for a registry with a champion."""

    settings: Settings
    commands: tuple[str, ...]
    port: int
    data_hash: str

    def command(self, words: str) -> str:
        """Return the command with ``words``, with the addresses and names of this test."""
        (command,) = (command for command in self.commands if words in command)
        own = {
            "5001": str(self.port),
            "models:/moovier@": f"models:/{self.settings.registered_model}@",
            ".venv/bin/moovier": str(Path(sys.executable).with_name("moovier")),
        }
        for shown, actual in own.items():
            command = command.replace(shown, actual)
        return command

    def script(self, words: str) -> list[str]:
        """Return the shell's command line for a command after that of `moovier env`."""
        return ["bash", "-euc", f"{self.command('moovier env')}; {self.command(words)}"]

    @property
    def variables(self) -> dict[str, str]:
        name = self.settings.registered_model
        return {**environment(self.settings), "MOOVIER_REGISTERED_MODEL": name}

    def run(self, words: str) -> str:
        done = subprocess.run(
            self.script(words),
            env=self.variables,
            cwd=self.settings.project,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{words}: {done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def walk(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Walk:
    folder = tmp_path_factory.mktemp("walk")
    own, remote = f"moovier-{uuid.uuid4().hex[:8]}", str(folder / "remote")
    here = Settings(
        home=folder / "home",
        project=new_project(folder / "here"),
        mlflow_port=urlsplit(mlflow.address).port,
        mlflow_tracking_uri=mlflow.address,
        registered_model=own,
        experiment=own,
        dvc_remote=remote,
    )
    store = FeedbackStore.open(here.database)
    store.add(1, [NewRating(2, 4, 2000)])
    store.close()
    pulled = ingest.pull(str(toy_movielens(folder / "movies")), settings=here)
    facts = DataFacts(
        name=pulled["name"], hash=pulled["hash"], synthetic=False, ratings=9, users=3, movies=3
    )
    open_registry(here).promote(register(here, folder, toy_bundle(data=facts)), REASON)

    # Another machine, whose checkout names the remote.
    elsewhere = here.model_copy(
        update={"project": new_project(folder / "elsewhere"), "home": folder / "other-home"}
    )
    for command in (
        ["git", "init", "--quiet"],
        [sys.executable, "-m", "dvc", "remote", "modify", "--local", "storage", "url", remote],
    ):
        subprocess.run(command, cwd=elsewhere.project, check=True)
    section = (ROOT / "README.md").read_text().partition(HEADING)[2].partition("\n## ")[0]
    commands = tuple(re.findall(r"^\$ (.*)$", section, re.MULTILINE))
    return Walk(elsewhere, commands, free_port(), pulled["hash"])


def test_walk_has_six_commands_from_make_up(walk: Walk) -> None:
    assert len(walk.commands) == 6
    assert walk.commands[0].startswith("make up")


def test_model_names_its_reason_and_its_data(walk: Walk) -> None:
    output = walk.run("moovier models champion")
    assert REASON in output
    assert walk.data_hash in output


def test_rows_of_the_model_are_pulled_by_its_hash(walk: Walk) -> None:
    walk.run("dvc pull")
    (pointer,) = (walk.settings.project / "data").glob(f"*+feedback-{walk.data_hash[:8]}.dvc")
    rows = pointer.with_suffix("")
    assert directory_hash(rows) == walk.data_hash
    assert "\n1,2,4.0,2000\n" in (rows / "ratings.csv").read_text()


@pytest.fixture
def served(walk: Walk, tmp_path: Path) -> Iterator[None]:
    """The model served by the README's command."""
    log = tmp_path / "serve.log"
    serve = walk.script("models serve")
    serve[-1] = serve[-1].removesuffix("&")
    with log.open("wb") as output:
        process = subprocess.Popen(
            serve,
            env=walk.variables,
            cwd=tmp_path,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 400
        while not _answers(walk.port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield
    finally:
        end_group(process)


@pytest.mark.usefixtures("served")
def test_mlflow_models_serve_recommends_by_the_champion(walk: Walk) -> None:
    (answer,) = Recommender(toy_bundle()).recommend([1], 2)
    assert json.loads(walk.run("/invocations")) == {
        "predictions": [
            {
                "movie_ids": [item.movie.id for item in answer.items],
                "titles": [item.movie.title for item in answer.items],
                "scores": [item.score for item in answer.items],
            }
        ]
    }
    body = {"dataframe_records": [{"ratings": [{"movie_id": 1, "stars": 5}]}]}
    address = f"http://127.0.0.1:{walk.port}/invocations"
    by_ratings = httpx.post(address, json=body, trust_env=False, timeout=30)
    assert 1 not in by_ratings.json()["predictions"][0]["movie_ids"]


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/ping", trust_env=False).is_success
    except httpx.HTTPError:
        return False
