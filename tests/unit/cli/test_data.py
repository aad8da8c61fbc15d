"""`moovier data`, with the output that a person sees."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from moovier.cli import main
from tests.dvc_checkout import new_project

RATINGS = (
    "userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,1,4.5,964981247\n2,6,1.0,964981300\n"
)
MOVIES = "movieId,title,genres\n1,Toy Story (1995),Animation\n6,Heat (1995),Action\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ratings.csv").write_text(RATINGS)
    (folder / "movies.csv").write_text(MOVIES)
    return folder


@dataclass(frozen=True)
class Done:
    """The exit code and the output of a command."""

    returncode: int
    stdout: str
    stderr: str


class Moovier:
    """The command in a new checkout that cannot reach any data set."""

    def __init__(
        self, parent: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
    ) -> None:
        self.project = new_project(parent / "project")
        self._monkeypatch, self._capfd = monkeypatch, capfd
        self._variables = {
            "MOOVIER_PROJECT": str(self.project),
            "MOOVIER_HOME": str(self.project / ".moovier"),
            "MOOVIER_GROUPLENS_URL": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "COLUMNS": "80",
        }

    def __call__(self, *arguments: str, **variables: str) -> Done:
        with self._monkeypatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("MOOVIER_")]:
                patch.delenv(name)
            for name, value in {**self._variables, **variables}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["moovier", "data", *arguments])
            self._capfd.readouterr()
            with pytest.raises(SystemExit) as exit:
                main()
            output = self._capfd.readouterr()
        return Done(int(exit.value.code or 0), output.out, output.err)


@pytest.fixture
def moovier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Moovier:
    return Moovier(tmp_path, monkeypatch, capfd)


def test_without_a_source_the_sample_is_used_and_the_reason_shown(moovier: Moovier) -> None:
    before = moovier("status")
    assert before.returncode == 0, before.stderr
    assert "not downloaded yet" in before.stdout
    pulled = moovier("pull")
    assert pulled.returncode == 0, pulled.stderr
    for output in (pulled.stdout, moovier("status").stdout):
        assert "SYNTHETIC" in output
    assert "http://127.0.0.1:9" in pulled.stdout
    explicit = moovier("pull", MOOVIER_DATA="ml-latest-small")
    assert explicit.returncode == 1
    assert "neither from the DVC remote" in explicit.stderr
    assert "Traceback" not in explicit.stderr


def test_own_folder_can_be_chosen(moovier: Moovier, folder: Path) -> None:
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


def test_bad_rows_are_listed_once_and_fail_the_command(moovier: Moovier, folder: Path) -> None:
    with (folder / "ratings.csv").open("a") as file:
        file.write("3,1,9.0,5\n3,[7],1.0,5\n")
    validation = moovier("validate", str(folder))
    assert validation.returncode == 1
    assert validation.stderr.count("row 5: rating 9 is not 0.5 to 5") == 1
    assert validation.stderr.count("row 6: movieId '[7]' is not a whole number") == 1
    tolerated = moovier("validate", str(folder), MOOVIER_BAD_ROWS_SHARE="0.4")
    assert tolerated.returncode == 0
    assert "set aside: ratings.csv, row 5" in tolerated.stdout
    assert moovier("use", str(folder)).returncode == 1


@pytest.mark.parametrize("name", ["name [old]", "[b]bold[", ":cat:"])
def test_folder_name_is_printed_as_it_is(name: str, moovier: Moovier, folder: Path) -> None:
    folder = folder.rename(folder.with_name(name))
    for command in (("use", str(folder)), ("status",), ("validate",)):
        done = moovier(*command)
        assert done.returncode == 0, done.stderr
        assert str(folder) in done.stdout
    refused = moovier("use", str(folder / "gone"))
    assert refused.returncode == 1
    assert str(folder / "gone") in refused.stderr


def test_folder_named_like_a_closing_tag_is_printed(moovier: Moovier, folder: Path) -> None:
    inner = folder.parent / "[" / "b]"
    inner.parent.mkdir()
    folder.rename(inner)
    assert str(inner) in moovier("use", str(inner)).stdout
    assert str(inner) in moovier("validate", MOOVIER_DATA=str(inner)).stdout
    overruled = moovier("use", "auto", MOOVIER_DATA=str(inner))
    assert f"MOOVIER_DATA={inner} is set" in overruled.stdout


REFUSED = {
    "milliseconds": ("1,6,4.0,1700000000000", "row 5: timestamp 1700000000000 is not in seconds"),
    "a date": ("1,6,4.0,2005-04-02", "row 5: timestamp '2005-04-02' is not a whole number: dates"),
    "a newer rating": ("1,1,2.0,964982704", "row 2: this user rates the same movie again in row 5"),
}


@pytest.mark.parametrize("situation", REFUSED)
def test_refused_row_is_explained(situation: str, moovier: Moovier, folder: Path) -> None:
    line, reason = REFUSED[situation]
    with (folder / "ratings.csv").open("a") as file:
        file.write(f"{line}\n")
    refused = moovier("use", str(folder))
    assert refused.returncode == 1
    assert f"ratings.csv, {reason}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert moovier("status").stdout.startswith("chosen    auto")


def test_export_of_one_person_and_a_single_file_are_explained(
    moovier: Moovier, folder: Path
) -> None:
    single = moovier("use", str(folder / "ratings.csv"))
    assert "is one file of a data set: name its folder" in single.stderr
    (folder / "movies.csv").unlink()
    (folder / "ratings.csv").write_text("Date,Name,Year,Letterboxd URI,Rating\n")
    export = moovier("use", str(folder))
    assert "ratings.csv is one person's export from Letterboxd" in export.stderr
    assert (single.returncode, export.returncode) == (1, 1)
