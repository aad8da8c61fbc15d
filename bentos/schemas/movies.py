"""Schemas of lists of movies, of single movies, and of the parameters that filter them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import BaseModel, Field

from bentos.schemas.fields import MovieIdText, ShownId, id_examples
from moovier.serving.filters import Filter
from moovier.serving.movies import PageQuery
from moovier.serving.popularity import MAX_DAYS, MIN_DAYS

MAX_GENRES, MAX_PAGE_SIZE, MAX_QUERY_LENGTH = 50, 100, 200
#: A URL may have 65,536 characters.
MAX_CURSOR_LENGTH_IN_URL = 60_000
#: The form of a cursor; the service checks its content.
CURSOR_SCHEMA: dict[str, Any] = {"minLength": 1, "pattern": "^[A-Za-z0-9_-]+$"}
#: Years that a filter accepts.
MIN_YEAR, MAX_YEAR = 1800, 2200
Year = Annotated[int, Field(ge=MIN_YEAR, le=MAX_YEAR)]
Genre = Annotated[str, Field(min_length=1, max_length=100)]
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE_SIZE)]

NewMovieId = Annotated[
    MovieIdText,
    Path(description="An id that the data set does not use."),
    id_examples(9000001),
]
MovieId = Annotated[MovieIdText, Path(description="Movie id."), id_examples(1)]
_Genres = Annotated[
    Sequence[Genre], Query(max_length=MAX_GENRES, description="Movies with any of these.")
]
_YearFrom = Annotated[Year | None, Query(description="First year of release.")]
_YearTo = Annotated[Year | None, Query(description="Last year of release.")]
_Size = Annotated[PageSize, Query(description="Movies on a page.")]
_Cursor = Annotated[
    Annotated[str, Field(max_length=MAX_CURSOR_LENGTH_IN_URL, json_schema_extra=CURSOR_SCHEMA)]
    | None,
    Query(description="`next` of the previous page."),
]
TitleQuery = Annotated[
    str,
    Query(
        max_length=MAX_QUERY_LENGTH,
        description="Words of the title, or the beginnings of words. Empty: all movies.",
        examples=["toy sto"],
    ),
]
Days = Annotated[
    Annotated[int, Field(ge=MIN_DAYS, le=MAX_DAYS)] | None,
    Query(
        description="Rank by the ratings of this many days before the newest rating, then by those "
        "of all time. Left out: the window that predicted best when the model was trained.",
        examples=[30],
    ),
]

#: Default window of trending movies.
TREND_DAYS = 30
TrendDays = Annotated[
    Annotated[int, Field(ge=MIN_DAYS, le=MAX_DAYS)],
    Query(description="Compare this many days before the newest rating with the time before."),
]


async def _page_query(
    genres: _Genres = (),
    year_from: _YearFrom = None,
    year_to: _YearTo = None,
    top_k: _Size = 10,
    cursor: _Cursor = None,
) -> PageQuery:
    return PageQuery(Filter(tuple(genres), year_from, year_to), top_k, cursor)


#: The parameters of every list of movies.
Page = Annotated[PageQuery, Depends(_page_query)]


class MovieShown(BaseModel):
    """A movie with its number of ratings and mean stars."""

    movie_id: ShownId
    movie: dict[str, Any]
    title: str
    year: int | None
    genres: list[str]
    ratings: int = Field(description="How many people rated it.")
    mean_stars: float | None


class MoviePage(BaseModel):
    """A page of movies that match a search."""

    items: list[MovieShown]
    next: str | None
