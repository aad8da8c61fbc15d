"""A version of the registered model, parsed from MLflow's REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
#: The rating model: it predicts the stars of a movie and need not rank well.
STARS = "stars"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS, STARS)

#: Tag that is set when all files of a version are stored; versions without it are ignored.
COMPLETE = "complete"
#: Tag with the number of the champion before this one, the target of a rollback.
REPLACES = "replaces"

#: Tags of the registered model, as JSON: the last monitoring result, and the last retraining that
#: monitoring triggered.
MONITORING, MONITORING_TRIGGER = "monitoring", "monitoring_trigger"


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    ``name``: display name, e.g. ``moovier_emb_25_trained_0``. ``metrics``: on the hold-out, with
    the keys of ``RankingResult.metrics()``. ``parent``: display name of the model that it was
    fine-tuned from. ``status``: in MLflow, ``READY`` for a usable version.
    """

    number: int
    name: str
    family: str
    run_id: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str] = field(repr=False)
    created_at: datetime
    parent: str | None
    metrics: Mapping[str, float] = field(repr=False)
    status: str

    @property
    def complete(self) -> bool:
        """Whether the version has a name and all its files are uploaded."""
        return bool(self.name) and self.tags.get(COMPLETE) == "true"

    @property
    def replaces(self) -> int | None:
        """The number of the champion before this one, or None."""
        number = self.tags.get(REPLACES, "")
        return int(number) if number.isdecimal() else None

    @classmethod
    def of(cls, answer: Mapping[str, Any], aliases: tuple[str, ...]) -> Version:
        """Parse a ``model_version`` object of the API.

        Raises:
            KeyError, TypeError, ValueError: the object has another form.
        """
        tags = {tag["key"]: tag.get("value", "") for tag in answer.get("tags", [])}
        return cls(
            number=int(answer["version"]),
            name=tags.get("name", ""),
            family=tags.get("family", ""),
            run_id=answer.get("run_id", ""),
            aliases=aliases,
            tags=tags,
            created_at=datetime.fromtimestamp(answer["creation_timestamp"] / 1000, UTC),
            parent=tags.get("parent") or None,
            metrics={key: float(value) for key, value in _json(tags.get("metrics")).items()},
            status=answer.get("status", ""),
        )


def _json(text: str | None) -> dict[str, Any]:
    """Parse a tag, which a user may edit, as a JSON object; empty if it is none."""
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
