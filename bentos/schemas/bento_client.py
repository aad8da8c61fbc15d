"""Arguments of the methods of BentoML's client; those of the query and the body in one object."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from bentos.schemas.fields import Model, UserId
from bentos.schemas.predict import MAX_USERS
from bentos.schemas.train import NewRatings
from moovier.serving.recommender import MAX_TOP_K, MIN_TOP_K


class PredictArguments(BaseModel):
    """Movies for each user, best first, without those they have rated."""

    model_config = ConfigDict(extra="forbid")

    users: list[UserId] = Field(
        min_length=1, max_length=MAX_USERS, description="MovieLens user ids."
    )
    model_name: Model = None
    top_k: int = Field(10, ge=MIN_TOP_K, le=MAX_TOP_K, description="Movies for each user.")


class TrainArguments(NewRatings):
    """Fine-tune a model on new ratings; returns the new model's name."""

    model_name: Model = None
    validation_split: float = Field(0.2, ge=0, lt=1, allow_inf_nan=False)
    patience: int = Field(10, ge=1, le=1000)
