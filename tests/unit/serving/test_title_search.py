"""Search by words of titles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.catalogue import Catalogue, Movie
from moovier.serving.title_search import TitleIndex

ROWS: tuple[tuple[str, int | None, int], ...] = (
    # Title, year, ratings.
    ("Toy Story", 1995, 50),
    ("Toy Story 2", 1999, 60),
    ("Toys", 1992, 5),
    ("Story of Toys, A", 2001, 70),
    ("Amélie (Fabuleux destin d'Amélie Poulain, Le)", 2001, 40),
    ("Matrix Reloaded, The", 2003, 90),
    ("Matrix, The", 1999, 80),
    ("Enter the Matrix", 2003, 99),
    ("Ocean's Eleven", 2001, 30),
    ("Große Stille, Die", 2005, 2),
    ("2001: A Space Odyssey", 1968, 55),
    ("七人の侍", 1954, 3),
    ("Nameless", None, 0),
    ("!!!", None, 1),
)
TITLES = TitleIndex(
    Catalogue.of(
        Movie(i, title, year, (), None, None) for i, (title, year, _) in enumerate(ROWS, start=1)
    ),
    np.array([ratings for _, _, ratings in ROWS]),
)


def found(text: str) -> list[str]:
    return [ROWS[row][0] for row in TITLES.find(text).tolist()]


def test_beginnings_of_words_match_in_any_order_and_case() -> None:
    everything = ["Toy Story 2", "Toy Story", "Story of Toys, A"]
    assert found("toy sto") == everything
    assert set(found("STO, toy!")) == set(everything)
    assert found("oy sto") == []


@pytest.mark.parametrize("text", ["amelie", "AMÉLIE", "ame\u0301lie", "poulain destin", "d'amelie"])
def test_accents_do_not_count(text: str) -> None:
    assert found(text) == ["Amélie (Fabuleux destin d'Amélie Poulain, Le)"]


def test_letters_of_other_scripts_match() -> None:
    assert found("grosse stil") == ["Große Stille, Die"]
    assert found("七人") == ["七人の侍"]


def test_a_year_is_a_word_of_the_title() -> None:
    assert found("matrix 1999") == ["Matrix, The"]
    assert found("2001 space") == ["2001: A Space Odyssey"]
    assert set(found("2001")) == {
        "2001: A Space Odyssey",
        "Story of Toys, A",
        "Ocean's Eleven",
        "Amélie (Fabuleux destin d'Amélie Poulain, Le)",
    }


@pytest.mark.parametrize("text", ["matrix", "the matrix", "Matrix, The", "MATRIX"])
def test_equal_title_comes_first_with_or_without_its_article(text: str) -> None:
    assert found(text)[0] == "Matrix, The"


def test_prefix_matches_come_before_others_each_by_ratings() -> None:
    assert found("matrix") == ["Matrix, The", "Matrix Reloaded, The", "Enter the Matrix"]
    assert found("toy") == ["Toy Story 2", "Toy Story", "Toys", "Story of Toys, A"]


def test_empty_query_matches_all_movies_most_rated_first() -> None:
    by_ratings = sorted(ROWS, key=lambda row: -row[2])
    for text in ("", "  ", "?!", "\u0301"):
        assert found(text) == [title for title, _, _ in by_ratings]


@given(st.text(max_size=60) | st.text(alphabet="toysrae 129é'", max_size=20))
def test_any_text_finds_each_movie_at_most_once(text: str) -> None:
    rows = TITLES.find(text).tolist()
    assert len(rows) == len(set(rows))
    assert all(0 <= row < len(ROWS) for row in rows)


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("oceans eleven", "Ocean's Eleven"),
        ("oceans 11", "Ocean's Eleven"),
        ("toystory", "Toy Story"),
        ("teh matrix", "Matrix, The"),
        ("matirx reloded", "Matrix Reloaded, The"),
        ("enter matrxi", "Enter the Matrix"),
        ("toy story ii", "Toy Story 2"),
    ],
)
def test_spellings_and_typing_errors_find_the_movie_meant(text: str, title: str) -> None:
    assert found(text)[0] == title


@pytest.mark.parametrize("text", ["2002", "200", "19995", "tiy"])
def test_numbers_and_short_words_have_no_typing_errors(text: str) -> None:
    assert found(text) == []


def test_number_of_words_is_bounded() -> None:
    assert set(found("toy " * 100)) == set(found("toy"))
    assert found("zzz " + "toy " * 100) == []
