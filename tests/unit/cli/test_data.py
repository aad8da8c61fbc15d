"""`moovier data`, as a process of its own and as a person sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.dvc_checkout import new_project

RATINGS = (
    "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,1,4.5,964981247\n2,6,1.0,964981300\n"
)
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Animation\n6,Heat (1995),Action\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mine"
    place.mkdir()
    (place / "ratings.csv").write_text(RATINGS)
    (place / "movies.csv").write_text(MOVIES)
    return place


class Moovier:
    """Runs the command in a new checkout, where no data set can be had."""

    def __init__(self, place: Path) -> None:
        self.project = new_project(place / "project")
        clean = {k: v for k, v in os.environ.items() if not k.startswith("MOOVIER_")}
        self.environment = {
            **clean,
            "MOOVIER_PROJECT": str(self.project),
            "MOOVIER_HOME": str(self.project / ".moovier"),
            "MOOVIER_GROUPLENS_URL": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "COLUMNS": "80",
        }

    def __call__(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "moovier", "data", *words],
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def moovier(tmp_path: Path) -> Moovier:
    return Moovier(tmp_path)


def test_a_machine_with_no_source_gets_the_sample_and_is_told_why(moovier: Moovier) -> None:
    before = moovier("status")
    assert before.returncode == 0, before.stderr
    assert "not here yet" in before.stdout
    pulled = moovier("pull")
    assert pulled.returncode == 0, pulled.stderr
    for said in (pulled.stdout, moovier("status").stdout):
        assert "SYNTHETIC" in said
    assert "http://127.0.0.1:9" in pulled.stdout
    insisted = moovier("pull", MOOVIER_DATA="ml-latest-small")
    assert insisted.returncode == 1
    assert "neither in the DVC remote" in insisted.stderr
    assert "Traceback" not in insisted.stderr


def test_a_folder_of_ones_own(moovier: Moovier, folder: Path) -> None:
    used = moovier("use", str(folder))
    assert used.returncode == 0, used.stderr
    status = moovier("status").stdout
    assert "3, 2000-07-30 to 2000-07-30" in status
    assert "SYNTHETIC" not in status
    assert max(map(len, status.splitlines()[4:])) <= 80
    bars = {line.split()[0]: line.count("█") for line in status.splitlines()[-10:]}
    assert bars == {f"{step / 2:.1f}": 50 * (step in (2, 8, 9)) for step in range(1, 11)}
    assert "valid, 3 ratings of 2 movies" in moovier("validate").stdout
    overruled = moovier("use", "auto", MOOVIER_DATA="sample").stdout
    assert "MOOVIER_DATA=sample is set" in overruled


def test_bad_rows_are_listed_once_each_and_the_command_fails(
    moovier: Moovier, folder: Path
) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write("3,1,9.0,5\n3,[7],1.0,5\n")
    found = moovier("validate", str(folder))
    assert found.returncode == 1
    assert found.stderr.count("row 5: rating 9 is off the scale") == 1
    assert found.stderr.count("row 6: movieId '[7]' is not a whole number") == 1
    tolerated = moovier("validate", str(folder), MOOVIER_BAD_ROWS_SHARE="0.4")
    assert tolerated.returncode == 0
    assert "set aside: ratings.csv, row 5" in tolerated.stdout
    assert moovier("use", str(folder)).returncode == 1
