"""`moovier ratings import` prints what was stored and what was not matched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.data.catalogue import Movie
from moovier.data.rating_files import Entry
from moovier.jobs import import_ratings as job
from moovier.serving.rating_import import Imported, MatchedEntry, MatchedFile
from moovier.serving.title_matching import Match

HEAT = Movie(6, "Heat", 1995, (), None, None)
SURE = MatchedEntry(Entry(2, "Heat", 1995, 4.0), Match(0, 0.99, "title"), HEAT, ())
UNKNOWN = MatchedEntry(Entry(4, "Nothing Like It", 1950, 1.0), Match(None, 0.0, "none"), None, ())
PERHAPS = MatchedEntry(Entry(5, "Haet", None, 1.0), Match(0, 0.6, "spelling"), HEAT, ())


def run(monkeypatch: pytest.MonkeyPatch, entries: list[MatchedEntry], *options: str) -> str:
    def import_ratings(file: Path, user: int, **given: Any) -> Imported:
        assert (file.name, user) == ("r.csv", 5)
        assert given["dry_run"] == ("--dry-run" in options)
        given["on_progress"](1, 2)
        return Imported(MatchedFile("IMDb", 3, tuple(entries)), 1200, 2, 1)

    monkeypatch.setattr(job, "import_ratings", import_ratings)
    words = ["ratings", "import", "r.csv", "--user", "5", *options]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_numbers_are_printed_and_unsure_matches_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run(monkeypatch, [SURE, UNKNOWN, PERHAPS]).splitlines()
    assert [line.strip() for line in lines if line.strip()] == [
        "IMDb: 3 movies",
        "1,200 ratings stored, 2 stored before, 1 older than the stored ones",
        "0 seen without a rating, 3 lines skipped",
        "2 not matched:",
        "line 4: Nothing Like It (1950): not in the catalogue",
        "line 5: Haet: perhaps Heat (1995, id 6)",
    ]


def test_a_dry_run_says_what_would_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(monkeypatch, [SURE], "--dry-run")
    assert "1,200 ratings would be stored" in output
    assert "not matched" not in output


def test_many_unsure_matches_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    output = run(monkeypatch, [UNKNOWN] * 23)
    assert "23 not matched:" in output
    assert output.count("Nothing Like It") == 20
    assert "and 3 more" in output


@pytest.mark.parametrize("options", [[], ["--user", "0"], ["--user", "-1"]])
def test_a_user_id_is_needed(options: list[str]) -> None:
    assert CliRunner().invoke(app, ["ratings", "import", "r.csv", *options]).exit_code == 2
