"""Define an experiment and the users that its challenger serves.

The definition is the tag ``experiment`` of a model version. The tag is JSON, written by
`moovier experiment start` or by hand in MLflow's user interface:

    {"id": "autumn", "mode": "canary", "share": 0.1, "started_at": 1790000000, "salt": "9f2c"}

The tag takes effect only on the version with the alias ``challenger``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from moovier.errors import BadRequest

#: Key of the tag of a running experiment, and of the tag with the result of the last one.
TAG, RESULT_TAG = "experiment", "experiment_result"
CANARY, SHADOW = "canary", "shadow"

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


class Experiment(BaseModel):
    """The definition of one experiment, frozen.

    Attributes:
        id: Name of the experiment: 1 to 32 letters, digits, dots, hyphens or underscores.
        mode: ``canary``: the challenger serves a share of the users. ``shadow``: the champion
            serves everybody, and the challenger computes a share of the lists a second time.
        share: Share of the users, 0 to 1.
        started_at: Start in seconds since 1970.
        salt: Seed of the draw of users; empty: ``id``.
        window_h: Hours after a user's first list in which the user's ratings count.
        alpha: Chance of a wrong decision if the models are equally good.
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
    def _check_share(self) -> Self:
        if self.mode == CANARY and "share" not in self.model_fields_set:
            raise ValueError("a canary needs a share of the users, such as 0.1")
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text of the tag.

        Raises:
            BadRequest: The text is not a valid experiment; the message lists every problem.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, problem['loc'])) or 'experiment'}: {problem['msg']}"
                for problem in error.errors(include_input=False, include_url=False)
            )
            raise BadRequest(f"the tag {TAG!r} is not a valid experiment: {problems}") from error

    @property
    def tag(self) -> str:
        """The text of the tag."""
        return self.model_dump_json()

    @property
    def window_s(self) -> int:
        """The window in seconds."""
        return round(self.window_h * 3600)

    def takes(self, user_id: int) -> bool:
        """Return whether the challenger serves this user.

        The result is the same in every process and at any time. A larger share with the same salt
        keeps the users of a smaller one.
        """
        salted = f"{self.salt or self.id}:{user_id}".encode()
        place = int.from_bytes(hashlib.blake2b(salted, digest_size=8).digest(), "big")
        return place < self.share * 2**64

    def takes_all(self, user_ids: Sequence[int]) -> bool:
        """Return whether the challenger serves all of these users; False without any user."""
        return bool(user_ids) and all(map(self.takes, user_ids))

    def key(self, champion: int, challenger: int) -> str:
        """Return the key under which lists are recorded, at most 49 characters.

        The key changes whenever an input of the assignment changes, such as the version number of
        the champion.
        """
        inputs = [self.mode, self.share, self.salt or self.id, champion, challenger]
        digest = hashlib.blake2b(json.dumps(inputs).encode(), digest_size=8).hexdigest()
        return f"{self.id}-{digest}"
