"""Schemas of `/ratings`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Query
from pydantic import BaseModel, ConfigDict, Field

from bentos.schemas.fields import (
    VISIBLE_ASCII,
    MovieIdText,
    Rating,
    ShownId,
    UserId,
    UserIdText,
    id_examples,
)
from bentos.schemas.person_ratings import MAX_RATINGS
from moovier.feedback.ratings import LONGEST_REQUEST_ID

UserQuery = Annotated[UserIdText, Query(description="User id."), id_examples(1000001)]
MovieQuery = Annotated[MovieIdText, Query(description="Movie id.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=VISIBLE_ASCII,
        description="The same key with the same ratings stores them once.",
    ),
]


class GivenRatings(BaseModel):
    """One user's ratings; the newest rating of a movie counts."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"user_id": 1000001, "ratings": [{"movie_id": 1, "stars": 4.5}]}]
        },
    )

    user_id: UserId
    ratings: list[Rating] = Field(min_length=1, max_length=MAX_RATINGS)
    request_id: str | None = Field(
        None,
        min_length=1,
        max_length=LONGEST_REQUEST_ID,
        pattern=VISIBLE_ASCII,
        description="`request_id` of the list that the user rates from.",
    )


class RatingsAck(BaseModel):
    """The number of stored ratings and of ignored ones, which are older than the stored ones.

    ``replayed`` says that the idempotency key was used before.
    """

    stored: int
    ignored: int
    replayed: bool


class OwnRating(BaseModel):
    """A rating that was sent to this service."""

    movie_id: ShownId
    stars: float
    timestamp: int
    request_id: str | None


class OwnRatings(BaseModel):
    """The ratings that a user sent to this service, oldest first, without those of the data set."""

    user_id: ShownId
    ratings: list[OwnRating]


class Deleted(BaseModel):
    """The result of a deletion."""

    deleted: int = Field(description="How many ratings sent to this service were deleted.")
