"""Valid folders of any exporting program are read; bad rows are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.csv_problems import SHOWN_PROBLEMS
from moovier.data.dvc_hash import directory_hash
from moovier.data.movielens import SYNTHETIC_MARK, read_movielens, to_arrays
from moovier.errors import InvalidData
from tests.unit.data.conftest import MOVIES, RATINGS


def problems(folder: Path, **options: float) -> tuple[str, ...]:
    with pytest.raises(InvalidData) as caught:
        read_movielens(folder, **options)  # type: ignore[arg-type]
    assert all(problem in str(caught.value) for problem in caught.value.problems[:SHOWN_PROBLEMS])
    return caught.value.problems


def add_ratings(folder: Path, *lines: str) -> None:
    text = "".join(f"{line}\n" for line in lines)
    (folder / "ratings.csv").write_bytes(RATINGS + text.encode())


def test_valid_folder_is_read(folder: Path) -> None:
    data = read_movielens(folder)
    assert (data.name, data.synthetic, data.set_aside) == ("mine", False, ())
    assert data.ratings["rating"].tolist() == [4.0, 4.5, 0.5, 5.0, 3.0]
    index, ratings, catalogue = to_arrays(data)
    assert index.users.tolist() == [1, 2]
    assert index.movies.tolist() == [1, 3, 6, 50]
    assert ratings.movies.tolist() == [0, 1, 2, 0, 3]
    assert ratings.users.tolist() == [0, 0, 0, 1, 1]
    assert (ratings.n_users, ratings.n_movies) == (2, 4)
    assert ratings.stars.dtype == np.float32
    first, postman, leon, _ = catalogue
    assert (first.title, first.year, first.imdb_id, first.tmdb_id) == (
        "Toy Story",
        1995,
        "tt0114709",
        862,
    )
    assert first.genres == ("Adventure", "Animation")
    assert (postman.title, postman.tmdb_id) == ("Postman, The (Postino, Il)", None)
    assert (leon.title, leon.year, leon.genres) == ('Léon "The Professional"', None, ())
    assert leon.imdb_id is None


def test_windows_line_ends_byte_order_mark_and_more_columns_are_accepted(folder: Path) -> None:
    plain = read_movielens(folder)
    for file in folder.iterdir():
        lines = file.read_bytes().splitlines()
        widened = [b"note," + lines[0], *(b"x," + line for line in lines[1:])]
        file.write_bytes(b"\xef\xbb\xbf" + b"\r\n".join(widened) + b"\r\n\r\n")
    same = read_movielens(folder)
    assert same.ratings.equals(plain.ratings)
    assert same.movies.equals(plain.movies)


def test_links_may_be_missing(folder: Path) -> None:
    (folder / "links.csv").unlink()
    _, _, catalogue = to_arrays(read_movielens(folder))
    assert {(movie.imdb_id, movie.tmdb_id) for movie in catalogue} == {(None, None)}


def test_marked_folder_is_synthetic(folder: Path) -> None:
    (folder / SYNTHETIC_MARK).write_text("generated")
    assert read_movielens(folder).synthetic


BAD_LINES = {
    "1,50,4.3,9": "rating 4.3 is not 0.5 to 5 in steps of 0.5",
    "1,50,0.0,9": "rating 0 is not 0.5 to 5 in steps of 0.5",
    "1,50,5.5,9": "rating 5.5 is not 0.5 to 5 in steps of 0.5",
    "1,50,inf,9": "rating 'inf' is not a number",
    "1,50,nan,9": "rating 'nan' is not a number",
    "1,50,4_0,9": "rating '4_0' is not a number",
    '1,50,"4,5",9': "rating '4,5' is not a number: write it with a point",
    "1,50,,9": "rating '' is not a number",
    "1,50,good,9": "rating 'good' is not a number",
    "one,50,4.0,9": "userId 'one' is not a whole number",
    "1.5,50,4.0,9": "userId '1.5' is not a whole number",
    "1_0,50,4.0,9": "userId '1_0' is not a whole number",
    "0,50,4.0,9": "userId 0 is not a positive id",
    "99999999999999999999,50,4.0,9": "userId '99999999999999999999' is too large",
    "1,51,4.0,9": "movieId 51 is not in movies.csv",
    "1,1,4.0,9": "this user rates the same movie again in row 2, which counts: it is newer, or "
    "later in the file at the same second; keep only that row",
    "9.2e18,50,9,9": "rating 9 is not 0.5 to 5 in steps of 0.5",
    "9200000000000000001,50,4.0,9": "userId 9200000000000000001 is larger than the largest id, "
    "9200000000000000000",
    "1,50,4.0,4294967296": "timestamp 4294967296 is not in seconds since 1970: it would be after "
    "the year 2106",
    "1,50,4.0,1700000000000": "timestamp 1700000000000 is not in seconds since 1970; it looks "
    "like milliseconds: divide by 1,000",
    "1,50,4.0,1.7E+15": "timestamp 1700000000000000 is not in seconds since 1970; it looks like "
    "microseconds: divide by 1,000,000",
    "1,50,4.0,2005-04-02 23:53:47": "timestamp '2005-04-02 23:53:47' is not a whole number: dates "
    "must become seconds since 1970",
    '1,50,"4.0,9': "a quote opens here and is not closed on the same line",
    '1,50,"4.0"0,9': 'a closing quote is followed by text: write a quote within quotes as ""',
    "1,50,4.0,9\0": "has a NUL character: the file is damaged, or not a CSV file",
    "1,50,4.0,9\r1,50,4.0,9": "has a carriage return within the line: use one kind of line end",
    "1,50,4.0,-1": "timestamp -1 is before 1970",
    "1,50,4.0": "has 3 fields, the header has 4",
    "1,50,4.0,9,9": "has 5 fields, the header has 4",
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_row_is_named(folder: Path, line: str) -> None:
    add_ratings(folder, line, "2,3,3.5,9")
    assert problems(folder) == (f"ratings.csv, row 7: {BAD_LINES[line]}",)


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_row_is_set_aside_if_allowed(folder: Path, line: str) -> None:
    add_ratings(folder, line, "2,3,3.5,9")
    data = read_movielens(folder, bad_rows_share=0.2)
    assert data.set_aside == (f"ratings.csv, row 7: {BAD_LINES[line]}",)
    assert len(data.ratings) == 6
    assert data.ratings.iloc[-1].tolist() == [2, 3, 3.5, 9]
    assert problems(folder, bad_rows_share=0.1) == data.set_aside


def test_empty_lines_do_not_shift_the_row_numbers(folder: Path) -> None:
    add_ratings(folder, "", "1,50,9.0,9")
    assert problems(folder) == ("ratings.csv, row 8: rating 9 is not 0.5 to 5 in steps of 0.5",)


def test_error_lists_some_problems_and_counts_the_others(folder: Path) -> None:
    add_ratings(folder, *(f"{user},1,7,9" for user in range(3, 103)))
    texts = problems(folder)
    assert len(texts) == SHOWN_PROBLEMS + 1
    assert texts[-1] == "... and 80 more bad rows"


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv"])
def test_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    (problem,) = problems(folder)
    assert problem.startswith(f"{name}: is missing")


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv", "links.csv"])
def test_empty_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    assert problems(folder) == (f"{name}: is empty",)


def test_file_without_rows_is_refused(folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(RATINGS.splitlines(keepends=True)[0])
    assert problems(folder) == ("ratings.csv: has no valid row",)


def test_missing_column_is_refused(folder: Path) -> None:
    (folder / "ratings.csv").write_bytes(RATINGS.replace(b"rating,", b"stars,"))
    (problem,) = problems(folder)
    assert problem == (
        "ratings.csv, row 1: column rating is missing; "
        "the header has userId, movieId, stars, timestamp"
    )


@pytest.mark.parametrize("cut", range(len(RATINGS) - 1, len(RATINGS) - 19, -3))
def test_file_cut_off_within_a_line_is_refused(folder: Path, cut: int) -> None:
    (folder / "ratings.csv").write_bytes(RATINGS[:cut])
    (problem,) = problems(folder, bad_rows_share=0.5)
    assert problem.startswith("ratings.csv, row 6: the file ends in the middle of a line")


def test_invalid_utf8_is_refused(folder: Path) -> None:
    (folder / "movies.csv").write_bytes(MOVIES.decode().encode("latin-1"))
    (problem,) = problems(folder, bad_rows_share=0.5)
    assert problem.startswith("movies.csv, row 4: is not UTF-8 text")


def test_row_of_invalid_utf8_is_right_in_a_large_file(folder: Path) -> None:
    """The row is right also where a block ends between the two bytes of a letter."""
    line = "7,é,x\n".encode()
    body = b"movieId,title,genres\n" + line * 400_000
    row = 2 + body[: body.rindex(line)].count(b"\n") - 1
    (folder / "movies.csv").write_bytes(body.removesuffix(line) + b"7,\xff,x\n")
    (problem,) = problems(folder)
    assert problem.startswith(f"movies.csv, row {row}: is not UTF-8 text")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,Toy Story again (1995),Drama", "movieId 1 repeats an earlier row"),
        ("7,,Drama", "title '' is empty"),
        ("7,Heat (1995)", "has 2 fields, the header has 3"),
        ("7,Postman, The (1994),Drama", "has 4 fields, the header has 3"),
        ("-7,Heat (1995),Drama", "movieId -7 is not a positive id"),
    ],
)
def test_bad_movie_is_named(folder: Path, line: str, reason: str) -> None:
    (folder / "movies.csv").write_bytes(MOVIES + f"{line}\n".encode())
    assert problems(folder) == (f"movies.csv, row 6: {reason}",)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("51,1,1", "movieId 51 is not in movies.csv"),
        ("50,1,1", "movieId 50 repeats an earlier row"),
        ("50,tt1,1", "imdbId 'tt1' is not a whole number"),
    ],
)
def test_bad_link_is_named(folder: Path, line: str, reason: str) -> None:
    with (folder / "links.csv").open("a") as file:
        file.write(f"{line}\n")
    assert problems(folder) == (f"links.csv, row 6: {reason}",)


def test_ratings_of_a_movie_set_aside_are_set_aside(folder: Path) -> None:
    (folder / "movies.csv").write_bytes(MOVIES.replace(b"Toy Story (1995)", b" "))
    data = read_movielens(folder, bad_rows_share=0.5)
    assert [problem.split(":")[0] for problem in data.set_aside] == [
        "movies.csv, row 2",
        "links.csv, row 2",
        "ratings.csv, row 2",
        "ratings.csv, row 5",
    ]


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match="not a folder"):
        read_movielens(tmp_path / "nowhere")


@pytest.mark.real_data
def test_ml_latest_small_is_valid(real_data: Path) -> None:
    data = read_movielens(real_data)
    assert directory_hash(real_data) == "7a07225112ccf8cdc73da1f2d56610d0.dir"
    assert (len(data.ratings), len(data.movies)) == (100_836, 9_742)
    index, ratings, _ = to_arrays(data)
    assert index.users.size == 610
    assert np.unique(ratings.movies).size == 9_724
    # Rows stay in file order, on which the ties and random splits of the protocols depend.
    assert data.ratings.iloc[1].tolist() == [1, 3, 4.0, 964981247]
