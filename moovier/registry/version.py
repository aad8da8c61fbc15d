"""One version of the registered model, as MLflow's REST interface describes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
#: The model that predicts the stars beside a movie; it need not be good at choosing movies.
STARS = "stars"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS, STARS)

#: Set last, when every file of a version lies in the store; without it a version is not shown.
COMPLETE = "complete"
#: Number of the version that was champion before this one: what a rollback goes back to.
REPLACES = "replaces"

#: Tags of the registered model itself, JSON: what monitoring saw last, and the retraining that it
#: asked for last.
MONITORING, MONITORING_TRIGGER = "monitoring", "monitoring_trigger"


@dataclass(frozen=True)
class Version:
    """One version.

    ``name`` is the display name, e.g. ``moovier_emb_25_trained_0``; ``metrics`` are those of the
    hold-out, by the keys of ``RankingResult.metrics()``; ``parent`` is the display name of the
    model that it was fine-tuned from; ``status`` is MLflow's, ``READY`` for a usable one.
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
        """Whether it has a name and all its files were uploaded."""
        return bool(self.name) and self.tags.get(COMPLETE) == "true"

    @property
    def replaces(self) -> int | None:
        """Number of the version that it took over from as champion."""
        number = self.tags.get(REPLACES, "")
        return int(number) if number.isdecimal() else None

    @classmethod
    def of(cls, answer: Mapping[str, Any], aliases: tuple[str, ...]) -> Version:
        """From a ``model_version`` object; KeyError or ValueError where it is none."""
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
    """A tag is free text that a person can edit: what is no JSON object counts as empty."""
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
