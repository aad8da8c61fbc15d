"""Ids as texts: which columns are text, their numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moovier.data import columns, id_texts, sources
from moovier.data.id_texts import IdTexts, TextTable, distinct
from moovier.data.movielens import read_movielens
from moovier.data.text_columns import is_text
from moovier.errors import InvalidData
from moovier.ids import MAX_TEXT_ID, number_of, text_problem
from moovier.settings import Settings

USERS = ("6f9619ff-8b86-d011-b42d-00c04fc964ff", "Anna", "anna", "007", "7")
MOVIES = ("heat-1995", "alien", "1917", "la-vie,en-rose")


def write(
    folder: Path, users: tuple[str, ...] = USERS, movies: tuple[str, ...] = MOVIES, *more: str
) -> Path:
    folder.mkdir(exist_ok=True)
    rows = [
        f'{user},"{movies[place % len(movies)]}",4.0,{10 + place}'
        for place, user in enumerate(users)
    ]
    (folder / "ratings.csv").write_text(
        "\n".join(["userId,movieId,rating,timestamp", *rows, *more, ""])
    )
    lines = [f'"{movie}",Title {place} (199{place}),Drama' for place, movie in enumerate(movies)]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *lines, ""]))
    (folder / "links.csv").write_text(f"movieId,imdbId,tmdbId\n{movies[0]},1,2\n")
    return folder


def test_each_text_has_a_number_of_its_own(tmp_path: Path) -> None:
    data = read_movielens(write(tmp_path / "data"))
    assert data.ids is not None
    users = [data.ids.text("user", number) for number in data.ratings["userId"].tolist()]
    assert users == list(USERS)
    movies = [data.ids.text("movie", number) for number in data.movies["movieId"].tolist()]
    assert movies == list(MOVIES)
    assert data.movies["tmdbId"].tolist()[0] == 2
    assert data.ratings["userId"].nunique() == len(USERS)


def test_numbers_stay_when_rows_are_added(tmp_path: Path) -> None:
    before = read_movielens(write(tmp_path / "data"))
    after = read_movielens(write(tmp_path / "data", ("zoe", *USERS), ("zodiac", *MOVIES)))
    assert after.ratings["userId"].tolist()[1:] == before.ratings["userId"].tolist()
    assert after.movies["movieId"].tolist()[1:] == before.movies["movieId"].tolist()


def test_users_and_movies_are_texts_independently(tmp_path: Path) -> None:
    data = read_movielens(write(tmp_path / "a", USERS, ("1", "2")))
    assert data.ids is not None
    assert (data.ids.is_text("user"), data.ids.is_text("movie")) == (True, False)
    assert data.movies["movieId"].tolist() == [1, 2]
    data = read_movielens(write(tmp_path / "b", ("1", "007"), MOVIES))
    assert data.ids is not None
    assert (data.ids.is_text("user"), data.ids.is_text("movie")) == (False, True)
    assert data.ratings["userId"].tolist() == [1, 7]
    assert read_movielens(write(tmp_path / "c", ("1", "2"), ("1", "2"))).ids is None


def test_one_damaged_row_does_not_make_a_column_text(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", ("1", "2", "3", "userId"), ("1", "2"))
    with pytest.raises(InvalidData, match=r"row 5: userId 'userId' is not a whole number"):
        read_movielens(folder)


def test_rows_all_over_a_large_file_decide(tmp_path: Path) -> None:
    rows = [f"{1 if row < 9_000 else f'user-{row}'},1,4.0,{row}\n" for row in range(60_000)]
    file = tmp_path / "ratings.csv"
    file.write_text("userId,movieId,rating,timestamp\n" + "".join(rows))
    assert is_text(file, "userId")
    assert not is_text(file, "movieId")
    assert not is_text(file, "missing")
    assert not is_text(tmp_path / "missing.csv", "userId")


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        ("", "userId '' is empty"),
        (" anna", "userId ' anna' has blanks around it"),
        ("a\tb", r"userId 'a\tb' has a control character or a line break"),
        ("x" * (MAX_TEXT_ID + 1), "(201 characters) has 201 characters; an id has at most 200"),
    ],
    ids=["empty", "blanks", "tab", "long"],
)
def test_texts_that_are_no_ids_are_refused_with_their_row(
    tmp_path: Path, user: str, reason: str
) -> None:
    with pytest.raises(InvalidData) as refused:
        read_movielens(write(tmp_path / "data", (*USERS, user)))
    [problem] = refused.value.problems
    assert problem.startswith("ratings.csv, row 7: ")
    assert reason in problem


def test_errors_name_the_text_of_an_id(tmp_path: Path) -> None:
    folder = write(tmp_path / "data", USERS, MOVIES, "anna,no-such-movie,4.0,9", "Anna,alien,3,99")
    with pytest.raises(InvalidData) as refused:
        read_movielens(folder)
    problems = refused.value.problems
    assert problems[0].startswith("ratings.csv, row 3: this user rates the same movie again in row")
    assert problems[1] == "ratings.csv, row 7: movieId 'no-such-movie' is not in movies.csv"
    (folder / "movies.csv").write_text("movieId,title,genres\na,A,Drama\nb,B,Drama\na,C,Drama\n")
    with pytest.raises(InvalidData, match=r"movies.csv, row 4: movieId 'a' repeats an earlier row"):
        read_movielens(folder)


def test_columns_keep_the_texts(tmp_path: Path) -> None:
    own = Settings(home=tmp_path / "home")
    folder = write(tmp_path / "data")
    sources.use(own, str(folder))
    ref = sources.fetch(own)
    for _ in range(2):
        found, kept = columns.parsed(
            ref.folder, ref.hash, own, name=ref.name, synthetic=ref.synthetic
        )
        assert found.ids is not None
        assert {found.ids.text("user", n) for n in found.index.users.tolist()} == set(USERS)
    (kept / id_texts.FILE).write_bytes(b"half")
    again, _ = columns.parsed(ref.folder, ref.hash, own, name=ref.name, synthetic=False)
    assert again.ids is not None


def test_events_have_text_ids(tmp_path: Path) -> None:
    own = Settings(home=tmp_path / "home")
    folder = write(tmp_path / "data")
    (folder / "ratings.csv").unlink()
    rows = [f'{user},"{MOVIES[3]}",finished,{place}' for place, user in enumerate(USERS)]
    (folder / "events.csv").write_text("\n".join(["userId,movieId,event,timestamp", *rows, ""]))
    sources.use(own, str(folder))
    data = read_movielens(sources.fetch(own).folder)
    assert data.ids is not None
    assert {data.ids.text("user", n) for n in data.ratings["userId"].tolist()} == set(USERS)
    assert {data.ids.text("movie", n) for n in data.ratings["movieId"].tolist()} == {MOVIES[3]}


@settings(deadline=None)
@given(st.text())
def test_every_text_is_refused_or_has_a_number(text: str) -> None:
    if text_problem(text) is None:
        assert 1 <= number_of(text) < 10**18
        table = TextTable.of({number_of(text): text})
        assert table.get(number_of(text)) == text
        assert table.get(number_of(text) + 1) is None


@settings(deadline=None)
@given(st.dictionaries(st.integers(1, 10**18), st.text(st.characters(codec="utf-8"), max_size=9)))
def test_tables_of_texts_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, texts: dict[int, str]
) -> None:
    file = tmp_path_factory.mktemp("ids") / id_texts.FILE
    id_texts.write(file, IdTexts({"movie": TextTable.of(texts)}))
    read = id_texts.read(file)
    assert not read.is_text("user")
    assert {number: read.text("movie", number) for number in texts} == texts
    assert np.array_equal(read.tables["movie"].numbers, sorted(texts))


def test_two_texts_with_one_number_are_refused() -> None:
    assert distinct([(1, "a"), (2, "b"), (1, "a")], "user") == {1: "a", 2: "b"}
    with pytest.raises(InvalidData, match="the user ids 'a' and 'b' have the same number"):
        distinct([(1, "a"), (1, "b")], "user")
