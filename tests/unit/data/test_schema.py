"""Each bad row gets the first reason against it; the files' tests check the reasons."""

from __future__ import annotations

import pandas as pd
import pytest
from pandera.errors import SchemaErrors

from moovier.data.schema import bad_rows, links_schema, movies_schema, ratings_schema

MOVIE_IDS = pd.Series([1, 3], dtype="int64")


def frame(*rows: tuple[int, int, float, int]) -> pd.DataFrame:
    columns = {"userId": "int64", "movieId": "int64", "rating": "float32", "timestamp": "int64"}
    return pd.DataFrame(list(rows), columns=list(columns)).astype(columns)


def test_valid_ratings_have_no_bad_rows() -> None:
    stars = [step / 2 for step in range(1, 11)]
    ratings = frame(*((user, 1, value, 0) for user, value in enumerate(stars, start=1)))
    assert bad_rows(ratings, ratings_schema(MOVIE_IDS)) == {}


def test_bad_rows_are_in_ascending_order_with_one_reason_each() -> None:
    ratings = frame((1, 1, 4.0, 5), (2, 1, 9.0, -1), (1, 1, 3.0, 6), (-1, 2, 3.0, 6))
    assert bad_rows(ratings, ratings_schema(MOVIE_IDS)) == {
        1: "rating 9 is not 0.5 to 5 in steps of 0.5",
        3: "userId -1 is not a positive id",
    }
    assert list(bad_rows(ratings, ratings_schema(MOVIE_IDS))) == [1, 3]


def test_second_row_of_a_movie_is_bad() -> None:
    movies = pd.DataFrame({"movieId": [7, 7], "title": ["Heat", "Heat"], "genres": ["", ""]})
    assert bad_rows(movies, movies_schema()) == {1: "movieId 7 repeats an earlier row"}


def test_links_may_lack_ids_of_other_sites() -> None:
    links = pd.DataFrame(
        {"movieId": [1, 3], "imdbId": [None, 5], "tmdbId": [None, None]},
    ).astype({"movieId": "int64", "imdbId": "Int64", "tmdbId": "Int64"})
    assert bad_rows(links, links_schema(MOVIE_IDS)) == {}


def test_problem_of_a_whole_column_is_raised() -> None:
    """It has no row to name, and the reader must not produce such a table."""
    with pytest.raises(SchemaErrors):
        bad_rows(frame((1, 1, 4.0, 5)).drop(columns="rating"), ratings_schema(MOVIE_IDS))
