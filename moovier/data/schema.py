"""Pandera schemas of valid tables in MovieLens layout.

The text of a check is the reason in error messages: "ratings.csv, row 7: <reason>".
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

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
MOVIE_COLUMNS = {"movieId": np.int64, "title": str, "genres": str}
LINK_COLUMNS = {"movieId": np.int64, "imdbId": OPTIONAL_INT, "tmdbId": OPTIONAL_INT}


def _on_scale(stars: pd.Series) -> pd.Series:
    doubled = stars * 2
    return stars.between(LOWEST_STARS, HIGHEST_STARS) & (doubled == doubled.round())


def ratings_schema(movie_ids: pd.Series) -> pa.DataFrameSchema:
    """Return the schema of ratings of the movies ``movie_ids``."""
    positive = pa.Check.gt(0, error="is not a positive id")
    return pa.DataFrameSchema(
        {
            "userId": pa.Column(np.int64, positive),
            "movieId": pa.Column(
                np.int64,
                pa.Check(lambda ids: ids.isin(movie_ids), error="is not in movies.csv"),
            ),
            "rating": pa.Column(
                np.float32,
                pa.Check(_on_scale, error="is not 0.5 to 5 in steps of 0.5"),
            ),
            "timestamp": pa.Column(np.int64, pa.Check.ge(0, error="is before 1970")),
        },
        checks=pa.Check(
            lambda frame: ~frame.duplicated(["userId", "movieId"]),
            error="this user already rated this movie in an earlier row",
        ),
    )


def movies_schema() -> pa.DataFrameSchema:
    """Return the schema of movies."""
    return pa.DataFrameSchema(
        {
            "movieId": pa.Column(
                np.int64,
                [
                    pa.Check.gt(0, error="is not a positive id"),
                    pa.Check(lambda ids: ~ids.duplicated(), error="repeats an earlier row"),
                ],
            ),
            "title": pa.Column(
                str, pa.Check(lambda titles: titles.str.strip() != "", error="is empty")
            ),
            "genres": pa.Column(str),
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
            "imdbId": pa.Column(OPTIONAL_INT, nullable=True),
            "tmdbId": pa.Column(OPTIONAL_INT, nullable=True),
        }
    )


def bad_rows(frame: pd.DataFrame, schema: pa.DataFrameSchema) -> dict[int, str]:
    """Return the positions of bad rows in ``frame``, ascending, with the first reason of each."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        reasons: dict[int, str] = {}
        for case in error.failure_cases.itertuples():
            if pd.isna(case.index):
                # It concerns the whole table, such as a column's type, which the reader ensures.
                raise
            reason = _reason(case)
            reasons.setdefault(int(case.index), reason)
        return dict(sorted(reasons.items()))
    return {}


def _reason(case: Any) -> str:
    """Describe one failure case of pandera."""
    if case.schema_context == "DataFrameSchema":
        return str(case.check)
    if case.check == "not_nullable":
        return f"{case.column} is missing"
    value = case.failure_case
    shown = f"{value:g}" if isinstance(value, float) else repr(value)
    return f"{case.column} {shown} {case.check}"
