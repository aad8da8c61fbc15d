"""Field types that several schemas share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from moovier.ids import MAX_ID
from moovier.serving.requests import RequestRating
from moovier.timestamps import TIMESTAMP_END

#: Longest name, alias or number of a model, in characters.
MAX_MODEL_NAME = 200
#: The characters of a request id or an idempotency key.
VISIBLE_ASCII = r"^[\x21-\x7e]+$"


def whole_number(value: Any) -> Any:
    """Return 7 for 7.0: JSON Schema calls both an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def strip_h5(name: str | None) -> str | None:
    """Return a model name without ``.h5``, the file ending of models that Keras 2 saved."""
    return name.removesuffix(".h5") if name else None


#: A model's name, alias or version number; None or an empty text mean the champion.
Model = Annotated[Annotated[str, Field(max_length=MAX_MODEL_NAME)] | None, AfterValidator(strip_h5)]
#: A MovieLens id, which is positive.
Id = Annotated[StrictInt, Field(ge=1, le=MAX_ID), BeforeValidator(whole_number)]
#: A country, ISO 3166-1.
Region = Annotated[str, Field(pattern="^[A-Z]{2}$", min_length=2, max_length=2)]
Stars = Annotated[float, Field(strict=True, ge=0.5, le=5, multiple_of=0.5, allow_inf_nan=False)]
Timestamp = Annotated[StrictInt, Field(ge=0, lt=TIMESTAMP_END), BeforeValidator(whole_number)]


class Rating(BaseModel):
    """A rating that a request sends."""

    model_config = ConfigDict(extra="forbid")

    movie_id: Id
    stars: Stars
    timestamp: Timestamp | None = Field(
        None, description="Seconds since 1970; left out: the present moment."
    )

    def to_request(self) -> RequestRating:
        """Return the rating without HTTP's types."""
        return self.movie_id, self.stars, self.timestamp
