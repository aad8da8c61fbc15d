"""Pandera schemas of valid tables in MovieLens layout.

The text of a check is the reason in error messages: "ratings.csv, row 7: <reason>".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from pandera.errors import SchemaErrors

from moovier.data.catalogue import NO_GENRE
from moovier.data.csv_values import shown
from moovier.data.text_columns import TextColumn
from moovier.event_weights import EVENT_KINDS
from moovier.ids import MAX_ID, MAX_SITE_ID
from moovier.timestamps import TIMESTAMP_END, timestamp_problem

#: The half-star scale of MovieLens.
LOWEST_STARS, HIGHEST_STARS, STEP = 0.5, 5.0, 0.5


#: A whole number that may be missing.
OPTIONAL_INT = "Int64"

RATING_COLUMNS = {
    "userId": np.int64,
    "movieId": np.int64,
    "rating": np.float32,
    "timestamp": np.int64,
}
EVENT_COLUMNS = {"userId": np.int64, "movieId": np.int64, "event": str, "timestamp": np.int64}
MOVIE_COLUMNS = {"movieId": np.int64, "title": str, "genres": str}
LINK_COLUMNS = {"movieId": np.int64, "imdbId": OPTIONAL_INT, "tmdbId": OPTIONAL_INT}


def _on_scale(stars: pd.Series) -> pd.Series:
    doubled = stars * 2
    return stars.between(LOWEST_STARS, HIGHEST_STARS) & (doubled == doubled.round())


def ratings_schema(movie_ids: pd.Series) -> pa.DataFrameSchema:
    """Return the schema of ratings of the movies ``movie_ids``."""
    return pa.DataFrameSchema(
        {
            "userId": pa.Column(np.int64, _id_checks()),
            "movieId": pa.Column(
                np.int64,
                pa.Check(lambda ids: ids.isin(movie_ids), error="is not in movies.csv"),
            ),
            "rating": pa.Column(
                np.float32,
                pa.Check(_on_scale, error="is not 0.5 to 5 in steps of 0.5"),
            ),
            "timestamp": pa.Column(
                np.int64, pa.Check(_within_timestamps, error="is not in seconds since 1970")
            ),
        }
    )


def events_schema(movie_ids: pd.Series) -> pa.DataFrameSchema:
    """Return the schema of events about the movies ``movie_ids``."""
    kinds = list(EVENT_KINDS)
    return pa.DataFrameSchema(
        {
            "userId": pa.Column(np.int64, _id_checks()),
            "movieId": pa.Column(
                np.int64,
                pa.Check(lambda ids: ids.isin(movie_ids), error="is not in movies.csv"),
            ),
            "event": pa.Column(
                str,
                pa.Check(
                    lambda names: names.isin(kinds), error=f"is not one of {', '.join(kinds)}"
                ),
            ),
            "timestamp": pa.Column(
                np.int64, pa.Check(_within_timestamps, error="is not in seconds since 1970")
            ),
        }
    )


def older_ratings(ratings: pd.DataFrame) -> dict[int, int]:
    """Return the positions of ratings that a newer one of the same user and movie replaces.

    Each maps to the position of the rating that counts: the newest, and of ratings of the same
    second the last one in the file.
    """
    pairs = ["userId", "movieId"]
    if not _has_repeated_pairs(*(ratings[column].to_numpy() for column in pairs)):
        return {}
    repeated = np.flatnonzero(ratings.duplicated(pairs, keep=False).to_numpy())
    users, movies, times = (
        ratings[column].to_numpy()[repeated] for column in (*pairs, "timestamp")
    )
    # The stable sort keeps the order of the file within a second; each pair ends with its newest.
    order = np.lexsort((times, movies, users))
    users, movies, repeated = users[order], movies[order], repeated[order]
    is_last = np.ones(len(repeated), dtype=bool)
    is_last[:-1] = (users[1:] != users[:-1]) | (movies[1:] != movies[:-1])
    kept = repeated[is_last][np.cumsum(is_last) - is_last]
    older = zip(repeated[~is_last].tolist(), kept[~is_last].tolist(), strict=True)
    return dict(sorted(older))


def _has_repeated_pairs(users: NDArray[np.int64], movies: NDArray[np.int64]) -> bool:
    """Return whether a user may rate a movie twice; sorting is faster than hashing."""
    width = int(movies.max(initial=0)) + 1
    if int(users.max(initial=0)) >= np.iinfo(np.int64).max // width:
        return True
    keys = users * width + movies
    keys.sort()
    return bool((keys[1:] == keys[:-1]).any())


def movies_schema() -> pa.DataFrameSchema:
    """Return the schema of movies."""
    return pa.DataFrameSchema(
        {
            "movieId": pa.Column(
                np.int64,
                [
                    *_id_checks(),
                    pa.Check(lambda ids: ~ids.duplicated(), error="repeats an earlier row"),
                ],
            ),
            "title": pa.Column(
                str, pa.Check(lambda titles: titles.str.strip() != "", error="is empty")
            ),
            "genres": pa.Column(str, _genre_checks()),
        }
    )


def links_schema(movie_ids: pd.Series) -> pa.DataFrameSchema:
    """Return the schema of links of the movies ``movie_ids`` to other sites."""
    return pa.DataFrameSchema(
        {
            "movieId": pa.Column(
                np.int64,
                [
                    pa.Check(lambda ids: ids.isin(movie_ids), error="is not in movies.csv"),
                    pa.Check(lambda ids: ~ids.duplicated(), error="repeats an earlier row"),
                ],
            ),
            "imdbId": pa.Column(OPTIONAL_INT, _site_id_check(), nullable=True),
            "tmdbId": pa.Column(OPTIONAL_INT, _site_id_check(), nullable=True),
        }
    )


def _id_checks() -> list[pa.Check]:
    return [
        pa.Check.gt(0, error="is not a positive id"),
        pa.Check.le(MAX_ID, error=f"is larger than the largest id, {MAX_ID}"),
    ]


def _site_id_check() -> pa.Check:
    return pa.Check.in_range(1, MAX_SITE_ID, error=f"is not an id from 1 to {MAX_SITE_ID}")


def _within_timestamps(timestamps: pd.Series) -> pd.Series:
    return timestamps.between(0, TIMESTAMP_END - 1)


def _genre_checks() -> list[pa.Check]:
    """Return the checks of genres in the form ``Adventure|Animation``, or none."""

    def check(is_valid: Callable[[str], bool], error: str) -> pa.Check:
        return pa.Check(lambda texts: texts.map(is_valid).astype(bool), error=error)

    return [
        check(
            lambda text: not re.search(r"[,;\[\]]", text),
            "separates genres by something other than |: write Adventure|Animation",
        ),
        check(
            lambda text: text == "" or all(text.split("|")),
            "has an empty genre: write | only between two genres, as in Adventure|Animation",
        ),
        check(
            lambda text: all(genre == genre.strip() for genre in text.split("|")),
            "has spaces around a genre: write Adventure|Animation",
        ),
        check(
            lambda text: len(set(text.split("|"))) == text.count("|") + 1,
            "names a genre twice",
        ),
        check(
            lambda text: text == NO_GENRE or NO_GENRE not in text,
            f"has {NO_GENRE} beside a genre",
        ),
    ]


def bad_rows(
    frame: pd.DataFrame,
    schema: pa.DataFrameSchema,
    text_columns: Mapping[str, TextColumn] | None = None,
) -> dict[int, str]:
    """Return the positions of bad rows in ``frame``, ascending, with the first reason of each.

    ``text_columns``: the columns that have numbers of texts; a reason names the text.
    """
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        reasons: dict[int, str] = {}
        texts = {name: column.by_number() for name, column in (text_columns or {}).items()}
        for case in error.failure_cases.itertuples():
            if pd.isna(case.index):
                # It concerns the whole table, such as a column's type, which the reader ensures.
                raise
            reason = _reason(case, texts.get(case.column, {}))
            reasons.setdefault(int(case.index), reason)
        return dict(sorted(reasons.items()))
    return {}


def _reason(case: Any, texts: Mapping[int, str]) -> str:
    """Describe one failure case of pandera; ``texts``: texts by number, where these stand."""
    if case.schema_context == "DataFrameSchema":
        return str(case.check)
    if case.check == "not_nullable":
        return f"{case.column} is missing"
    value = texts[int(case.failure_case)] if texts else case.failure_case
    if case.column == "timestamp":
        return f"timestamp {value} {timestamp_problem(int(value))}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{case.column} {shown(text) if isinstance(value, str) else text} {case.check}"
