"""Field types that several schemas share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from moovier.ids import MAX_ID, MAX_TEXT_ID, MOVIE, USER, Kind
from moovier.serving.requests import RequestRating
from moovier.serving.text_ids import current_ids
from moovier.timestamps import TIMESTAMP_END

#: Longest name, alias or number of a model, in characters.
MAX_MODEL_NAME = 200
#: The characters of a request id or an idempotency key.
VISIBLE_ASCII = r"^[\x21-\x7e]+$"


def whole_number(value: Any) -> Any:
    """Return 7 for 7.0: JSON Schema calls both an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number_for(kind: Kind) -> Callable[[Any], Any]:
    """Return a validator that turns an id into a number, also a text where the model has texts."""

    def validate(value: Any) -> Any:
        ids = current_ids.get()
        if ids is None or not ids.is_text(kind):
            return whole_number(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str):
            raise PydanticCustomError("text_id", "give the id as a string")
        try:
            return ids.number(kind, value)
        except ValueError as error:
            raise PydanticCustomError("text_id", "{problem}", {"problem": str(error)}) from error

    return validate


def strip_h5(name: str | None) -> str | None:
    """Return a model name without ``.h5``, the file ending of models that Keras 2 saved."""
    return name.removesuffix(".h5") if name else None


#: A model's name, alias or version number; None or an empty text mean the champion.
Model = Annotated[Annotated[str, Field(max_length=MAX_MODEL_NAME)] | None, AfterValidator(strip_h5)]
#: The JSON schema of an id: a number, or a text where the data set has texts.
ID_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": MAX_ID},
        {"type": "string", "minLength": 1, "maxLength": MAX_TEXT_ID},
    ]
}
number_for_user, number_for_movie = _number_for(USER), _number_for(MOVIE)
as_user_number = BeforeValidator(number_for_user)
as_movie_number = BeforeValidator(number_for_movie)
#: A positive id, or a text.
UserId = Annotated[StrictInt, Field(ge=1, le=MAX_ID), as_user_number, WithJsonSchema(ID_SCHEMA)]
MovieId = Annotated[StrictInt, Field(ge=1, le=MAX_ID), as_movie_number, WithJsonSchema(ID_SCHEMA)]
#: An id in a path or a query, where a number is a string.
UserIdText = Annotated[int, Field(ge=1, le=MAX_ID), as_user_number, WithJsonSchema(ID_SCHEMA)]
MovieIdText = Annotated[int, Field(ge=1, le=MAX_ID), as_movie_number, WithJsonSchema(ID_SCHEMA)]


def id_examples(example: int) -> WithJsonSchema:
    """Return the schema of an id with an example; that of ``Path`` or ``Query`` would be lost."""
    return WithJsonSchema({**ID_SCHEMA, "examples": [example]})


#: An id in an answer.
ShownId = int | str
#: A country, ISO 3166-1.
Region = Annotated[str, Field(pattern="^[A-Z]{2}$", min_length=2, max_length=2)]
Stars = Annotated[float, Field(strict=True, ge=0.5, le=5, multiple_of=0.5, allow_inf_nan=False)]
Timestamp = Annotated[StrictInt, Field(ge=0, lt=TIMESTAMP_END), BeforeValidator(whole_number)]


class Rating(BaseModel):
    """A rating that a request sends."""

    model_config = ConfigDict(extra="forbid")

    movie_id: MovieId
    stars: Stars
    timestamp: Timestamp | None = Field(
        None, description="Seconds since 1970; left out: the present moment."
    )

    def to_request(self) -> RequestRating:
        """Return the rating without HTTP's types."""
        return self.movie_id, self.stars, self.timestamp
