"""A version of the registered model, parsed from MLflow's REST API."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moovier.registry import tags as tag_parsers
from moovier.registry.model_record import ModelRecord

CHAMPION = "champion"
CHALLENGER = "challenger"
PREVIOUS = "previous"
#: The rating model: it predicts the stars of a movie and need not rank well.
STARS = "stars"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS, STARS)

#: Form of a display name. Other texts are never sent to MLflow.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,199}")
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
#: Tag of the registered model: the number of the version that was promoted last. It stays when the
#: alias is moved by hand or the version is deleted.
LAST_CHAMPION = "last_champion"


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    ``name``: display name, e.g. ``moovier_emb_25_trained_0``. ``tags``: those of the version and
    of its logged model. ``params``: hyper-parameters. ``metrics``: on the hold-out, with the keys
    of ``Evaluation.metrics()``. ``parent``: display name of the model that it was fine-tuned from.
    ``status``: in MLflow, ``READY`` for a usable version. ``description``: Markdown, with the
    reasons of the last decision first. ``problems``: what is wrong with tags that cannot be read,
    one sentence part each; the model works without them.
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
    problems: tuple[str, ...] = ()

    @property
    def unusable(self) -> str | None:
        """Why no model can be loaded from the version; None if one can."""
        name, complete = self.tags.get("name"), self.tags.get(COMPLETE)
        if name is None and complete is None:
            return "it was not registered by Moovier (it has no tags `name` and `complete`)"
        if not name:
            return "the tag `name` is missing or empty"
        if not NAME.fullmatch(name):
            return f"the tag `name` is {name[:60]!r}; names consist of letters, digits, `_` and `-`"
        if name in ALIASES or name.isdecimal():
            return f"the tag `name` is {name!r}, which means an alias or a version number"
        if complete != "true":
            return f"the tag `complete` is {(complete or '')[:60]!r}, not 'true'"
        return None

    @property
    def complete(self) -> bool:
        """Whether the version has a name and all its files are uploaded."""
        return self.unusable is None

    @property
    def unreadable(self) -> str | None:
        """What is wrong with the version's tags; None if all can be read."""
        return self.unusable or "; ".join(self.problems) or None

    @property
    def title(self) -> str:
        """The name and number for messages; the number alone without a valid name."""
        is_named = NAME.fullmatch(self.name)
        return f"{self.name} (version {self.number})" if is_named else f"version {self.number}"

    @property
    def replaces(self) -> int | None:
        """The number of the champion before this one, or None."""
        return tag_parsers.number(self.tags.get(REPLACES, ""))

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

        A tag may have any text.

        Raises:
            KeyError, TypeError, ValueError: the object has another form.
        """
        record = record or ModelRecord()
        own_tags = {str(tag["key"]): str(tag.get("value") or "") for tag in answer.get("tags", [])}
        tags = {**record.tags, **own_tags}
        metrics, problems = tag_parsers.parse_metrics(tags.get(OLD_METRICS))
        return cls(
            number=int(answer["version"]),
            name=tags.get("name", ""),
            family=tags.get("family", ""),
            run_id=answer.get("run_id") or "",
            aliases=aliases,
            tags=tags,
            created_at=datetime.fromtimestamp(answer["creation_timestamp"] / 1000, UTC),
            parent=tags.get("parent") or None,
            params=tag_parsers.parse_object(tags.get(OLD_PARAMS, "")) or record.hyper_parameters,
            metrics=metrics or record.metrics,
            status=answer.get("status", ""),
            description=answer.get("description") or "",
            problems=(*problems, *_problems(tags)),
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


def _problems(tags: Mapping[str, str]) -> list[str]:
    """Return what is wrong with the tags other than ``metrics``."""
    problems = [] if tags.get("family") else ["the tag `family` is missing or empty"]
    for name, fits, expected in (
        ("params", tag_parsers.is_object, "a JSON object"),
        ("experiment_result", tag_parsers.is_object, "a JSON object"),
        (REPLACES, lambda text: tag_parsers.number(text) is not None, "a version number"),
        ("synthetic", lambda text: text in ("true", "false"), "'true' or 'false'"),
    ):
        if name in tags and not fits(tags[name]):
            problems.append(f"the tag `{name}` is not {expected}")
    return problems
