"""A version of the registered model, parsed from MLflow's REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moovier.registry.model_record import ModelRecord

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
#: Tag with the outcome of the promotion gate: ``promoted``, ``kept``, ``stars``, ``manual``,
#: ``rollback`` and others.
GATE = "gate"
#: Scheme of a version's source.
_MODEL_URI = "models:/"
#: Line of a description before the reasons of earlier decisions.
EARLIER = "---"
#: Tags of versions that an earlier Moovier registered: today the description has the reasons, and
#: the logged model has the hyper-parameters and the metrics.
OLD_REASONS, OLD_PARAMS, OLD_METRICS = "gate_reasons", "params", "metrics"

#: Tags of the registered model, as JSON: the last monitoring result, and the last retraining that
#: monitoring triggered.
MONITORING, MONITORING_TRIGGER = "monitoring", "monitoring_trigger"


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    ``name``: display name, e.g. ``moovier_emb_25_trained_0``. ``tags``: those of the version and
    of its logged model. ``params``: hyper-parameters. ``metrics``: on the hold-out, with the keys
    of ``Evaluation.metrics()``. ``parent``: display name of the model that it was fine-tuned from.
    ``status``: in MLflow, ``READY`` for a usable version. ``description``: Markdown, with the
    reasons of the last decision first.
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
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    description: str = field(default="", repr=False)

    @property
    def complete(self) -> bool:
        """Whether the version has a name and all its files are uploaded."""
        return bool(self.name) and self.tags.get(COMPLETE) == "true"

    @property
    def replaces(self) -> int | None:
        """The number of the champion before this one, or None."""
        number = self.tags.get(REPLACES, "")
        return int(number) if number.isdecimal() else None

    @property
    def gate_reasons(self) -> str | None:
        """The reasons of the last decision about the version, one per line, or None."""
        if self.tags.get(OLD_REASONS):
            return self.tags[OLD_REASONS]
        if GATE not in self.tags:
            return None
        text = self.description.split(f"\n{EARLIER}\n")[0].strip()
        return "\n".join(line.removeprefix("- ") for line in text.splitlines() if line) or None

    @classmethod
    def of(
        cls,
        answer: Mapping[str, Any],
        aliases: tuple[str, ...],
        record: ModelRecord | None = None,
    ) -> Version:
        """Parse a ``model_version`` object of the API; ``record`` is that of its logged model.

        Raises:
            KeyError, TypeError, ValueError: the object has another form.
        """
        record = record or ModelRecord()
        own_tags = {tag["key"]: tag.get("value", "") for tag in answer.get("tags", [])}
        tags = {**record.tags, **own_tags}
        metrics = _json(tags.get(OLD_METRICS)) or record.metrics
        return cls(
            number=int(answer["version"]),
            name=tags.get("name", ""),
            family=tags.get("family", ""),
            run_id=answer.get("run_id", ""),
            aliases=aliases,
            tags=tags,
            created_at=datetime.fromtimestamp(answer["creation_timestamp"] / 1000, UTC),
            parent=tags.get("parent") or None,
            params=_json(tags.get(OLD_PARAMS)) or record.hyper_parameters,
            metrics={key: float(value) for key, value in metrics.items()},
            status=answer.get("status", ""),
            description=answer.get("description", ""),
        )


def described_by(answer: Mapping[str, Any]) -> str | None:
    """Return the id of the logged model that describes a ``model_version`` object, or None.

    None for versions of an earlier Moovier, which have all in their tags.
    """
    source = str(answer.get("source", ""))
    keys = {tag.get("key") for tag in answer.get("tags", [])}
    if OLD_METRICS in keys or not source.startswith(_MODEL_URI):
        return None
    return source.removeprefix(_MODEL_URI)


def _json(text: str | None) -> dict[str, Any]:
    """Parse a tag, which a user may edit, as a JSON object; empty if it is none."""
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
