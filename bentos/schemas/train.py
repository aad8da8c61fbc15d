"""Schemas of `/train`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from bentos.schemas.fields import MovieId, Stars, UserId

MAX_RATINGS = 20_000
ValidationSplit = Annotated[
    float,
    Query(
        ge=0,
        lt=1,
        allow_inf_nan=False,
        description="Share of the batch, its last part, that decides when to stop.",
    ),
]
Patience = Annotated[
    int,
    Query(ge=1, le=1000, description="Epochs without a better `val_loss` before stopping."),
]


class NewRatings(BaseModel):
    """Ratings as three parallel lists: user, movie and stars."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"users": [498, 389], "movies": [3699, 2702], "ratings": [4, 3]}]
        },
    )

    users: list[UserId] = Field(min_length=1, max_length=MAX_RATINGS, description="Ids.")
    movies: list[MovieId] = Field(
        min_length=1, max_length=MAX_RATINGS, description="MovieLens ids."
    )
    ratings: list[Stars] = Field(
        min_length=1, max_length=MAX_RATINGS, description="Stars, 0.5 to 5 in steps of 0.5."
    )
