"""`moovier movies` adds, lists and deletes movies that nobody has rated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.errors import UnknownMovie
from moovier.feedback.new_movies import NewMovie
from moovier.jobs import add_movies as job
from moovier.jobs.add_movies import AddedMovies


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["movies", *words], env={"COLUMNS": "100"})


def test_the_numbers_of_a_file_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    files: list[Path] = []

    def add_movies(file: Path, _settings: Any) -> AddedMovies:
        files.append(file)
        return AddedMovies(1234, 2)

    monkeypatch.setattr(job, "add_movies", add_movies)
    assert run("add", "new.csv").stdout == "1,234 movies added, 2 replaced\n"
    assert files == [Path("new.csv")]


def test_added_movies_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    movies = (
        NewMovie(5, "New", 2020, ("Drama", "War"), tmdb_id=77),
        NewMovie(6, "Plain [red]"),
    )
    monkeypatch.setattr(job, "list_movies", lambda _settings: movies)
    monkeypatch.setattr(job, "movie_texts", lambda _settings: {6: "plain-red"})
    header, first, second = run("list").stdout.splitlines()
    assert header.split() == ["id", "title", "year", "genres", "TMDB", "id"]
    assert first.split() == ["5", "New", "2020", "Drama|War", "77"]
    assert second.split()[:2] == ["plain-red", "Plain"]


def test_an_empty_list_says_how_to_add_movies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "list_movies", lambda _settings: ())
    assert "`moovier movies add FILE` adds some" in run("list").stdout


def test_a_movie_is_deleted_by_id(monkeypatch: pytest.MonkeyPatch) -> None:
    def delete_movie(movie_id: int | str, _settings: Any) -> None:
        if movie_id not in (5, "heat-1995"):
            raise UnknownMovie(0)

    monkeypatch.setattr(job, "delete_movie", delete_movie)
    assert run("delete", "5").stdout == "deleted: 5\n"
    assert run("delete", "heat-1995").stdout == "deleted: heat-1995\n"
    assert isinstance(run("delete", "6").exception, UnknownMovie)
    assert run("delete", "0").exit_code == 2
