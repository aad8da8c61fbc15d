"""Parse the last monitoring result from the registered model's tag."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class MonitoringSummary:
    """The last monitoring result.

    ``at``: seconds since 1970. ``figures``: metrics by name, all finite.
    """

    at: float
    alarm: bool
    figures: Mapping[str, float]

    @classmethod
    def of(cls, tag: str | None) -> MonitoringSummary | None:
        """Return the summary in a tag's value, or None for a missing or invalid value.

        A user can edit the tag, so any text is possible.
        """
        try:
            content: Any = orjson.loads(tag or "")
            figures = {str(name): float(value) for name, value in content["figures"].items()}
            summary = cls(float(content["at"]), bool(content["alarm"]), figures)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        numbers = (summary.at, *summary.figures.values())
        return summary if all(map(math.isfinite, numbers)) else None
