"""Schema of a request to `/recommend`."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from bentos.schemas.fields import Id, Model, Rating, Stars, whole_number
from bentos.schemas.movies import (
    CURSOR_SCHEMA,
    MAX_GENRES,
    MAX_PAGE_SIZE,
    MAX_YEAR,
    MIN_YEAR,
    Genre,
)
from moovier.serving import requests
from moovier.serving.filters import Filter
from moovier.serving.variety import Variety

MAX_RATINGS, MAX_EXCLUDED, MAX_CURSOR_LENGTH = 5_000, 10_000, 900_000
_MOVIE_KEY = r"[1-9][0-9]{0,17}"
# In a body, a string is not a number.
_BodyYear = Annotated[StrictInt, Field(ge=MIN_YEAR, le=MAX_YEAR), BeforeValidator(whole_number)]
_Weight = Annotated[StrictFloat, Field(ge=0, le=1)]
_BodyPageSize = Annotated[StrictInt, Field(ge=1, le=MAX_PAGE_SIZE), BeforeValidator(whole_number)]


def _check_movie_key(value: Any) -> Any:
    # Each id has one spelling, so that no id can come twice.
    if isinstance(value, str) and not re.fullmatch(_MOVIE_KEY, value, re.ASCII):
        raise ValueError("a movie id is a positive whole number of at most 18 digits")
    return value


def _check_unique_movies(ratings: list[Rating]) -> list[Rating]:
    movie_ids: set[int] = set()
    for rating in ratings:
        if rating.movie_id in movie_ids:
            raise PydanticCustomError(
                "movie_twice",
                "movie {movie_id} is in the list more than once; give one rating for each movie",
                {"movie_id": rating.movie_id},
            )
        movie_ids.add(rating.movie_id)
    return ratings


def _form_of(ratings: Any) -> str | None:
    """Return which of ``RATINGS_FORMS`` the ratings have; None for neither."""
    if isinstance(ratings, dict):
        return "object"
    return "list" if isinstance(ratings, list) else None


#: The forms of ratings in a request; pydantic inserts them into the place of an error.
RATINGS_FORMS = ("object", "list")
_StarsByMovie = Annotated[
    dict[Annotated[int, BeforeValidator(_check_movie_key)], Stars],
    Field(max_length=MAX_RATINGS),
    WithJsonSchema(
        {
            "type": "object",
            "propertyNames": {"pattern": f"^{_MOVIE_KEY}$"},
            "additionalProperties": {
                "type": "number",
                "minimum": 0.5,
                "maximum": 5,
                "multipleOf": 0.5,
            },
            "maxProperties": MAX_RATINGS,
        }
    ),
]
_Ratings = Annotated[
    Annotated[_StarsByMovie, Tag("object")]
    | Annotated[
        Annotated[
            list[Rating], Field(max_length=MAX_RATINGS), AfterValidator(_check_unique_movies)
        ],
        Tag("list"),
    ],
    Discriminator(
        _form_of,
        custom_error_type="ratings_form",
        custom_error_message="give a list of objects with movie_id and stars, or an object of "
        "movie id to stars",
    ),
]


class RecommendRequest(BaseModel):
    """A user or visitor, and which movies they want.

    Without ``user_id`` and ``ratings`` the answer is a list of popular movies.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"ratings": {"1": 5, "260": 4.5, "1196": 5}, "top_k": 5, "genres": ["Sci-Fi"]},
                {
                    "ratings": [
                        {"movie_id": 1, "stars": 5},
                        {"movie_id": 260, "stars": 2, "timestamp": 1500000000},
                    ],
                    "top_k": 5,
                },
                {"user_id": 1, "top_k": 5, "year_from": 1990},
            ]
        },
    )

    user_id: Id | None = Field(None, description="MovieLens user id, known or not.")
    ratings: _Ratings | None = Field(
        None,
        description="Ratings of this user or visitor: a list of `{movie_id, stars, timestamp?}`, "
        "or an object of movie id to stars. Their order does not matter. A rating without a "
        "timestamp counts as given at the present moment. With `user_id` they count on top of "
        "the user's known ratings; the newest rating of a movie counts.",
    )
    top_k: _BodyPageSize = Field(10, description="Movies on a page.")
    genres: list[Genre] = Field([], max_length=MAX_GENRES, description="Any of them.")
    year_from: _BodyYear | None = None
    year_to: _BodyYear | None = None
    exclude: list[Id] = Field([], max_length=MAX_EXCLUDED, description="MovieLens movie ids.")
    cursor: (
        Annotated[str, Field(max_length=MAX_CURSOR_LENGTH, json_schema_extra=CURSOR_SCHEMA)] | None
    ) = Field(None, description="`next` of the previous page.")
    diversity: _Weight = Field(
        0,
        description="0 to 1: how much each movie should differ from those before it in genre and "
        "year. 0 ranks by the score alone.",
    )
    novelty: _Weight = Field(
        0, description="0 to 1: how much less known movies are preferred. 0 ranks by the score."
    )
    max_per_series: (
        Annotated[StrictInt, Field(ge=1, le=MAX_PAGE_SIZE), BeforeValidator(whole_number)] | None
    ) = Field(
        None,
        description="Most movies of one series on a page. The titles tell which movies are of one "
        "series.",
    )
    model_name: Model = Field(None, description="As in `/predict`; left out: the champion.")

    def to_request(self) -> requests.RecommendRequest:
        """Return the request without HTTP's types."""
        ratings: list[requests.RequestRating] = []
        if isinstance(self.ratings, dict):
            ratings += [(movie_id, stars, None) for movie_id, stars in self.ratings.items()]
        elif self.ratings:
            ratings += [rating.to_request() for rating in self.ratings]
        return requests.RecommendRequest(
            user_id=self.user_id,
            ratings=tuple(ratings),
            top_k=self.top_k,
            filter=Filter(tuple(self.genres), self.year_from, self.year_to),
            exclude=tuple(self.exclude),
            cursor=self.cursor,
            model_name=self.model_name,
            variety=Variety(self.diversity, self.novelty, self.max_per_series),
        )
