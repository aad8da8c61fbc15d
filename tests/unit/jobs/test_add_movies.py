"""Files of new movies."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.errors import BadRequest
from moovier.feedback.new_movies import NewMovie
from moovier.jobs import add_movies as module
from moovier.jobs.add_movies import AddedMovies, add_movies, delete_movie, list_movies, read_movies
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from tests.fixtures import toy_bundle

HEADER = "movieId,title,genres,tmdbId,people,text\n"
GOOD = (
    "\ufeff" + HEADER + '9001,"Odyssey, The (2026)",Action|Adventure,1368337,A. Maker|B. Player,'
    '"Home, after\nthe war."\n9002,Untitled,(no genres listed),,,\n'
)
ODYSSEY = NewMovie(
    9001,
    "Odyssey, The",
    2026,
    ("Action", "Adventure"),
    1368337,
    ("A. Maker", "B. Player"),
    "Home, after\nthe war.",
)
UNTITLED = NewMovie(9002, "Untitled")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def write(folder: Path, text: str) -> Path:
    file = folder / "new.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_movies_of_a_file_are_stored_replaced_and_deleted(
    tmp_path: Path, settings: Settings
) -> None:
    assert add_movies(write(tmp_path, GOOD), settings) == AddedMovies(2, 0)
    assert list_movies(settings) == (ODYSSEY, UNTITLED)
    changed = write(tmp_path, "movieId,title,genres\n9002,Titled (2020),Drama\n9003,More,\n")
    assert add_movies(changed, settings) == AddedMovies(1, 1)
    assert [movie.title for movie in list_movies(settings)] == ["Odyssey, The", "Titled", "More"]
    delete_movie(9001, settings)
    assert [movie.id for movie in list_movies(settings)] == [9002, 9003]
    with pytest.raises(BadRequest, match="9001"):
        delete_movie(9001, settings)


def test_ids_of_rated_movies_are_refused(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = (None, Recommender(toy_bundle()))
    monkeypatch.setattr(module, "load_recommender", lambda model, settings: champion)
    rows = "2,Taken,\n32,Unrated,\n900,Free,\n"
    with pytest.raises(BadRequest, match=r"these ids with ratings: 2; choose free ids"):
        add_movies(write(tmp_path, f"movieId,title,genres\n{rows}"), settings)
    assert list_movies(settings) == ()


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x,T,Drama,,,", "line 2: movieId 'x' is not a whole number"),
        ("0,T,Drama,,,", "line 2: movie id 0"),
        ("9,,Drama,,,", "line 2: movie 9: a title has"),
        ("9,T,Drama|,,,", "line 2: movie 9: genres has ''"),
        ("9,T,Drama;Comedy,,,", "line 2: movie 9: genre 'Drama;Comedy'"),
        ("9,T,Drama|Drama,,,", "line 2: movie 9: genres has a repeated name"),
        ("9,T,Drama,-4,,", "line 2: movie 9: TMDB id -4"),
        ("9,T,Drama,,,,,", "line 2: has too many fields"),
        ("9,T,Drama\n9,U,Drama", "line 3: movie 9 is in the file more than once"),
        ("", "no movies below its header"),
    ],
)
def test_bad_row_is_named_and_nothing_is_stored(tmp_path: Path, row: str, reason: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_movies(write(tmp_path, HEADER + row + "\n" if row else HEADER))
    assert reason in str(caught.value)


def test_file_without_its_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="lacks the column title, genres"):
        read_movies(write(tmp_path, "movieId,name\n1,x\n"))
    with pytest.raises(BadRequest, match="cannot be read"):
        read_movies(tmp_path / "missing.csv")
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + "1,é,\n".encode("latin-1"))
    with pytest.raises(BadRequest, match="not UTF-8"):
        read_movies(tmp_path / "latin.csv")
