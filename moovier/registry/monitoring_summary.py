"""What monitoring saw last, as the registered model's tag says it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson


@dataclass(frozen=True)
class MonitoringSummary:
    """``at``: seconds since 1970. ``figures``: name to number."""

    at: float
    alarm: bool
    figures: Mapping[str, float]

    @classmethod
    def of(cls, tag: str | None) -> MonitoringSummary | None:
        """None where there is none. A tag is free text that a person can edit: what is no summary
        counts as none."""
        try:
            said: Any = orjson.loads(tag or "")
            figures = {str(name): float(value) for name, value in said["figures"].items()}
            found = cls(float(said["at"]), bool(said["alarm"]), figures)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
        numbers = (found.at, *found.figures.values())
        return found if all(map(math.isfinite, numbers)) else None
