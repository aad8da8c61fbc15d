"""What an experiment is, and whose turn it is: a tag on the version that challenges the champion.

The tag ``experiment`` is JSON, set by `moovier experiment start` or by hand in MLflow's page:

    {"id": "autumn", "mode": "canary", "share": 0.1, "started_at": 1790000000, "salt": "9f2c"}

It counts on the version under the alias ``challenger`` alone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moovier.errors import BadRequest

#: Keys of the tags: what runs on a version, and how the last one on it ended.
TAG, RESULT_TAG = "experiment", "experiment_result"
CANARY, SHADOW = "canary", "shadow"

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


class Experiment(BaseModel):
    """One experiment; frozen.

    ``share``: 0 to 1. In a canary, of the people who are answered by the challenger; in the shadow,
    of those whose lists it makes a second time. ``started_at``: seconds since 1970. ``salt`` draws
    the people; unset it is ``id``. ``window_h``: hours after a person's first list within which
    what they say counts. ``alpha``: chance of a wrong decision where the two are alike.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    id: _Word
    mode: Literal["canary", "shadow"]
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    started_at: Annotated[int, Field(ge=0, lt=2**32)] = 0
    salt: Annotated[str, Field(max_length=64)] = ""
    window_h: Annotated[float, Field(gt=0, le=24 * 90)] = 72.0
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.mode == CANARY and "share" not in self.model_fields_set:
            raise ValueError("a canary needs a share")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """From the tag's text.

        Raises:
            BadRequest: it is not such an object; the message says what is wrong.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}"
                for one in error.errors(include_input=False, include_url=False)
            )
            raise BadRequest(f"the tag {TAG} describes no experiment: {wrong}") from error

    @property
    def tag(self) -> str:
        """The tag's text."""
        return self.model_dump_json()

    @property
    def window_s(self) -> int:
        return round(self.window_h * 3600)

    def takes(self, user_id: int) -> bool:
        """Whether this person is one of the challenger's: the same in every process and at any
        time, and with a larger share of the same salt still."""
        said = f"{self.salt or self.id}:{user_id}".encode()
        place = int.from_bytes(hashlib.blake2b(said, digest_size=8).digest(), "big")
        return place < self.share * 2**64

    def takes_all(self, user_ids: Sequence[int]) -> bool:
        """Whether all of them are the challenger's; False of nobody."""
        return bool(user_ids) and all(map(self.takes, user_ids))

    def key(self, champion: int, challenger: int) -> str:
        """What lists are recorded under: at most 49 characters, others as soon as anything that
        people's turns depend on is another, such as the champion's version number."""
        parts = [self.mode, self.share, self.salt or self.id, champion, challenger]
        digest = hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
        return f"{self.id}-{digest}"
