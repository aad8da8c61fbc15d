"""Folders as people have them are read rightly, or their rows are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data.movielens import read_movielens, to_arrays
from moovier.errors import InvalidData
from tests.unit.data.conftest import LINKS, MOVIES, RATINGS


def problems(folder: Path, **options: float) -> tuple[str, ...]:
    with pytest.raises(InvalidData) as caught:
        read_movielens(folder, **options)  # type: ignore[arg-type]
    return caught.value.problems


def many_movies(folder: Path, *opening: int) -> None:
    """Write 1,000 rated movies; the titles of the movies ``opening`` open a quote."""
    (folder / "links.csv").unlink()
    titles = [f"Film {movie} (1980)" for movie in range(1, 1001)]
    for movie in opening:
        titles[movie - 1] = f'"{titles[movie - 1]}'
    lines = "".join(f"{movie},{title},Drama\n" for movie, title in enumerate(titles, 1))
    (folder / "movies.csv").write_text("movieId,title,genres\n" + lines)
    ratings = "".join(f"1,{movie},4.0,{1_000_000_000 + movie}\n" for movie in range(1, 1001))
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\n" + ratings)


def test_open_quote_is_named_in_its_own_row(folder: Path) -> None:
    many_movies(folder, 100, 600)
    reason = "a quote opens here and is not closed on the same line"
    assert problems(folder) == (f"movies.csv, row 101: {reason}", f"movies.csv, row 601: {reason}")


def test_open_quote_takes_no_other_movie_with_it(folder: Path) -> None:
    many_movies(folder, 100, 600)
    data = read_movielens(folder, bad_rows_share=0.01)
    assert len(data.movies) == len(data.ratings) == 998
    assert [problem.split(":")[0] for problem in data.set_aside] == [
        "movies.csv, row 101",
        "movies.csv, row 601",
        "ratings.csv, row 101",
        "ratings.csv, row 601",
    ]


def test_problems_of_movies_are_listed_before_those_of_ratings(folder: Path) -> None:
    (folder / "movies.csv").write_bytes(MOVIES.replace(b"1,Toy", b'1,"Toy'))
    (folder / "links.csv").unlink()
    found = problems(folder, bad_rows_share=0.3)
    assert [problem.split(":")[0] for problem in found] == [
        "movies.csv, row 2",
        "ratings.csv, row 2",
        "ratings.csv, row 5",
    ]


RERATED = [
    # The lines after the five of RATINGS, the row that is replaced, and the row that counts.
    ("1,1,1.0,964982704", 2, 7),
    ("1,1,1.0,964982703", 2, 7),
    ("1,1,1.0,964982702", 7, 2),
]


@pytest.mark.parametrize(("line", "older", "newer"), RERATED)
def test_newest_rating_of_a_movie_counts(line: str, older: int, newer: int, folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(RATINGS + f"{line}\n".encode())
    (problem,) = problems(folder)
    assert problem.startswith(
        f"ratings.csv, row {older}: this user rates the same movie again in row {newer}, which"
    )
    data = read_movielens(folder, bad_rows_share=0.2)
    assert data.set_aside == (problem,)
    kept = data.ratings.query("userId == 1 and movieId == 1")
    assert kept["rating"].tolist() == [1.0 if newer == 7 else 4.0]


def test_bad_newer_rating_replaces_no_good_one(folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(RATINGS + b"1,1,9.0,999999999\n")
    data = read_movielens(folder, bad_rows_share=0.2)
    assert len(data.ratings) == 5
    assert data.set_aside == ("ratings.csv, row 7: rating 9 is not 0.5 to 5 in steps of 0.5",)


@pytest.mark.parametrize(
    ("genres", "reason"),
    [
        ('"Adventure, Animation"', "separates genres by something other than |"),
        ("Adventure;Animation", "separates genres by something other than |"),
        ("['Adventure']", "separates genres by something other than |"),
        ("Action|Crime|", "has an empty genre"),
        ("|Action", "has an empty genre"),
        ("Action||Crime", "has an empty genre"),
        ("|", "has an empty genre"),
        ("Action | Crime", "has spaces around a genre"),
        (" ", "has spaces around a genre"),
        ("Drama|Drama", "names a genre twice"),
        ("(no genres listed)|Drama", "has (no genres listed) beside a genre"),
    ],
)
def test_genres_in_another_form_are_refused(genres: str, reason: str, folder: Path) -> None:
    (folder / "movies.csv").write_bytes(MOVIES + f"51,Heat (1995),{genres}\n".encode())
    (problem,) = problems(folder)
    assert problem.startswith("movies.csv, row 6: genres ")
    assert reason in problem


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Heat (1995)", ("Heat", 1995)),
        ("(1995)", ("(1995)", None)),
        ("Blade Runner (2049) (2017)", ("Blade Runner (2049)", 2017)),
        ("Zero (0000)", ("Zero (0000)", None)),
        ("Arabic (١٩٩٥)", ("Arabic (١٩٩٥)", None)),
        ("Serial (2001-2003) ", ("Serial", 2001)),
    ],
)
def test_title_is_split_from_a_plausible_year(
    title: str, expected: tuple[str, int | None], folder: Path
) -> None:
    (folder / "movies.csv").write_bytes(MOVIES + f"51,{title},Drama\n".encode())
    movie = to_arrays(read_movielens(folder))[2][4]
    assert (movie.title, movie.year) == expected


@pytest.mark.parametrize("value", ["0", "-5", "2147483648"])
def test_link_out_of_range_is_named(value: str, folder: Path) -> None:
    (folder / "links.csv").write_bytes(LINKS.replace(b"6,,101", f"6,{value},101".encode()))
    assert problems(folder) == (
        f"links.csv, row 4: imdbId {value} is not an id from 1 to 2147483647",
    )


def test_file_without_permission_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tests may run as root, for whom no file is without permission.
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert problems(folder) == ("movies.csv: cannot be read: Permission denied",)
