"""The two forms in which a request gives a person's ratings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from bentos.schemas.fields import Rating, Stars, number_for_movie
from moovier.ids import MAX_TEXT_ID, MOVIE
from moovier.serving.requests import RequestRating
from moovier.serving.text_ids import current_ids

MAX_RATINGS = 5_000
_MOVIE_KEY = r"[1-9][0-9]{0,17}"


def _check_movie_key(value: Any) -> Any:
    ids = current_ids.get()
    if ids is not None and ids.is_text(MOVIE):
        return number_for_movie(value)
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
            # A number, or a text where the data set has texts.
            "propertyNames": {"minLength": 1, "maxLength": MAX_TEXT_ID},
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
#: A list of ratings, or an object of movie id to stars.
PersonRatings = Annotated[
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


def to_request_ratings(
    ratings: Mapping[int, float] | Sequence[Rating] | None,
) -> tuple[RequestRating, ...]:
    """Return the ratings without HTTP's types; empty for None."""
    if isinstance(ratings, Mapping):
        return tuple((movie_id, stars, None) for movie_id, stars in ratings.items())
    return tuple(rating.to_request() for rating in ratings or ())
