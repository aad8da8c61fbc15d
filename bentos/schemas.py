"""What requests look like, with examples that work when pasted."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query
from pydantic import BaseModel, ConfigDict, Field, StrictInt

from moovier.recommending.recommender import LEAST_TOP_K, MOST_TOP_K

#: MovieLens ids are positive and fit 64 bits.
Id = Annotated[StrictInt, Field(ge=1, lt=2**63)]
Stars = Annotated[float, Field(ge=0.5, le=5, multiple_of=0.5, allow_inf_nan=False)]
MOST_USERS, MOST_RATINGS = 1000, 20_000

Users = Annotated[
    list[Id],
    Body(
        min_length=1,
        max_length=MOST_USERS,
        description="MovieLens user ids.",
        openapi_examples={"two people": {"value": [389, 456]}},
    ),
]
ModelName = Annotated[
    str | None,
    Query(
        max_length=200,
        description="A name from `/models`, an alias (`champion`, `challenger`, `previous`) or a "
        "version number. Left out: the champion.",
    ),
]
TopK = Annotated[
    int, Query(ge=LEAST_TOP_K, le=MOST_TOP_K, description="Movies for each user, best first.")
]
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
    """Three parallel lists: who rated what, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"users": [498, 389], "movies": [3699, 2702], "ratings": [4, 3]}]
        },
    )

    users: list[Id] = Field(min_length=1, max_length=MOST_RATINGS, description="MovieLens ids.")
    movies: list[Id] = Field(min_length=1, max_length=MOST_RATINGS, description="MovieLens ids.")
    ratings: list[Stars] = Field(
        min_length=1, max_length=MOST_RATINGS, description="Stars, 0.5 to 5 in half steps."
    )
