"""Schemas of `/predict`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Body, Query

from bentos.schemas.fields import Model, UserId
from moovier.serving.recommender import MAX_TOP_K, MIN_TOP_K

MAX_USERS = 1000
Users = Annotated[
    list[UserId],
    Body(
        min_length=1,
        max_length=MAX_USERS,
        description="MovieLens user ids.",
        openapi_examples={"two people": {"value": [389, 456]}},
    ),
]
ModelName = Annotated[
    Model,
    Query(
        description="A name from `/models`, an alias (`champion`, `challenger`, `previous`) or a "
        "version number. Left out: the champion.",
    ),
]
TopK = Annotated[
    int, Query(ge=MIN_TOP_K, le=MAX_TOP_K, description="Movies for each user, best first.")
]
