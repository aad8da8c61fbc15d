"""Files that are not a data set are recognised, and the error says what to do."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from moovier.data.movielens import read_movielens
from moovier.errors import InvalidData
from tests.unit.data.conftest import MOVIES, RATINGS

ONE_PERSON = (
    "One person's ratings cannot train a model by themselves: import them with `moovier ratings "
    "import FILE --user ID`"
)
PERSONAL = {
    "Letterboxd": ("ratings.csv", "Date,Name,Year,Letterboxd URI,Rating\n"),
    "IMDb": ("ratings.csv", "Const,Your Rating,Date Rated,Title,URL,Title Type\n"),
    "movielens.org": (
        "movielens-ratings.csv",
        "movie_id,imdb_id,tmdb_id,rating,average_rating,title\n",
    ),
    "TMDB": ("tmdb.csv", "TMDb ID,IMDb ID,Type,Name,Release Date,Rating,Your Rating,Date Rated\n"),
    "Netflix": ("NetflixViewingHistory.csv", "Title,Date\n"),
    "Trakt": (
        "ratings-movies.json",
        json.dumps([{"rated_at": "2024-01-01T00:00:00Z", "rating": 9, "movie": {"title": "Heat"}}]),
    ),
}


def problem(folder: Path) -> str:
    with pytest.raises(InvalidData) as caught:
        read_movielens(folder)
    return caught.value.problems[0] if caught.value.problems else str(caught.value)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "export"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("origin", PERSONAL)
@pytest.mark.parametrize("has_movies", [False, True])
def test_personal_export_is_recognised(origin: str, has_movies: bool, empty: Path) -> None:
    name, text = PERSONAL[origin]
    (empty / name).write_text(text, encoding="utf-8-sig")
    if has_movies:
        (empty / "movies.csv").write_bytes(MOVIES)
    text = problem(empty)
    assert f"{name} is one person's" in text
    assert origin in text
    assert ONE_PERSON in text


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        ("rating.csv", "movie.csv"),
        ("Ratings.CSV", "Movies.csv"),
        ("ratings (1).csv", "movies (1).csv"),
        ("ratings.csv.txt", "movies.csv.txt"),
        ("RATING.CSV", "movies - Copy.csv"),
    ],
)
def test_nearly_right_names_are_named_with_the_right_ones(
    ratings: str, movies: str, empty: Path
) -> None:
    (empty / ratings).write_bytes(RATINGS)
    (empty / movies).write_bytes(MOVIES)
    text = problem(empty)
    assert f"{ratings} to ratings.csv" in text
    assert f"{movies} to movies.csv" in text
    assert "dates" not in text


def test_dates_of_kaggle_are_named(empty: Path) -> None:
    (empty / "rating.csv").write_text(
        "userId,movieId,rating,timestamp\n1,1,3.5,2005-04-02 23:53:47\n"
    )
    (empty / "movie.csv").write_bytes(MOVIES)
    assert "write them as seconds since 1970" in problem(empty)
    (empty / "rating.csv").rename(empty / "ratings.csv")
    (empty / "movie.csv").rename(empty / "movies.csv")
    assert "row 2: timestamp '2005-04-02 23:53:47' is not a whole number: dates" in problem(empty)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ratings.dat", "MovieLens 1M or 10M"),
        ("u.data", "MovieLens 100K"),
        ("movies_metadata.csv", "Kaggle's The Movies Dataset"),
        ("combined_data_1.txt", "Netflix Prize"),
        ("ml-25m.zip", "ml-25m.zip is packed: unpack it"),
        ("ratings.csv.gz", "ratings.csv.gz is packed: unpack it"),
        ("ratings.xlsx", "is a spreadsheet: save each sheet as CSV"),
    ],
)
def test_other_data_sets_and_packed_files_are_recognised(name: str, text: str, empty: Path) -> None:
    (empty / name).write_bytes(b"\0\xff\x80")
    assert text in problem(empty)


def test_data_set_in_a_subfolder_is_named(folder: Path) -> None:
    assert f"name {folder}" in problem(folder.parent)


@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("userId;movieId;rating;timestamp", "separated by semicolons: use commas"),
        ("userId\tmovieId\trating\ttimestamp", "separated by tabs: use commas"),
        ("user_id,movie_id,rating,timestamp", "Write userId instead of 'user_id', movieId inst"),
        ("userid,MovieID,Rating,Timestamp", "timestamp instead of 'Timestamp'"),
        ("userId,movieId,rating,rating,timestamp", "column rating occurs twice"),
        ('userId,movieId,rating,"timestamp', "row 1: a quote opens here and is not closed"),
    ],
)
def test_header_is_explained(header: str, text: str, folder: Path) -> None:
    body = RATINGS.split(b"\n", 1)[1]
    (folder / "ratings.csv").write_bytes(header.encode() + b"\n" + body)
    assert text in problem(folder)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (RATINGS.decode().encode("utf-16"), "it is UTF-16; save it as UTF-8"),
        (gzip.compress(RATINGS, mtime=0), "it is packed"),
        (RATINGS.replace(b"\n", b"\r"), "carriage returns only"),
    ],
)
def test_other_encodings_are_explained(content: bytes, text: str, folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(content)
    assert text in problem(folder)


@pytest.mark.parametrize("name", ["[", "x" * 200, "a,b\n"])
def test_unreadable_files_in_the_folder_cause_no_traceback(name: str, empty: Path) -> None:
    for suffix in (".csv", ".json"):
        (empty / f"{name}{suffix}").write_bytes(b'"\0\xff{[{' * 1000)
    assert "movies.csv: is missing" in problem(empty)
