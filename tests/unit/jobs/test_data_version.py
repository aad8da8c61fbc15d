"""From a model version to its rows on another machine, with DVC's own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataUnavailable
from moovier.feedback.ratings import NewRating
from moovier.feedback.store import FeedbackStore
from moovier.jobs import ingest
from moovier.jobs.data_version import write_pointer
from moovier.models.bundle import DataFacts
from moovier.settings import Settings
from tests.dvc_checkout import new_project
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.unit.jobs.feedback_merge.conftest import LINKS, MOVIES, ORIGINAL


def facts(name: str, hash_: str) -> DataFacts:
    return DataFacts(name=name, hash=hash_, synthetic=False, ratings=6, users=3, movies=3)


@pytest.fixture
def movies(tmp_path: Path) -> Path:
    folder = tmp_path / "movies"
    folder.mkdir()
    for name, content in (("ratings", ORIGINAL), ("movies", MOVIES), ("links", LINKS)):
        (folder / f"{name}.csv").write_text(content)
    return folder


def test_dvc_pulls_the_rows_of_a_model_on_another_machine(
    settings: Settings, movies: Path, tmp_path: Path
) -> None:
    remote = tmp_path / "remote"
    here = settings.model_copy(
        update={"project": new_project(tmp_path / "here"), "dvc_remote": str(remote)}
    )
    store = FeedbackStore.open(here.database)
    store.add(1, [NewRating(30, 4, 2000)])
    store.close()
    pulled = ingest.pull(str(movies), settings=here)
    model = toy_bundle(data=facts(pulled["name"], pulled["hash"]))
    version = register(here, tmp_path, model)

    project = new_project(tmp_path / "elsewhere")
    elsewhere = settings.model_copy(update={"project": project, "home": tmp_path / "other-home"})
    pointer = write_pointer(str(version.number), elsewhere)
    for command in (
        ["git", "init", "--quiet"],
        [*DVC, "remote", "modify", "--local", "storage", "url", str(remote)],
        [*DVC, "pull", str(pointer)],
    ):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    rows = pointer.with_suffix("")
    assert directory_hash(rows) == pulled["hash"]
    assert "1,30,4.0,2000" in (rows / "ratings.csv").read_text()


def test_sample_has_no_pointer(settings: Settings, tmp_path: Path) -> None:
    register(settings, tmp_path, toy_bundle(data=facts("sample", "0" * 32 + ".dir")))
    with pytest.raises(DataUnavailable, match="MOOVIER_DATA=sample moovier data pull"):
        write_pointer("1", settings)


DVC = [sys.executable, "-m", "dvc"]
