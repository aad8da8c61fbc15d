"""Parse the texts of tags, which anybody can edit in MLflow's user interface."""

from __future__ import annotations

import json
from typing import Any

#: Most digits of a version number.
_MAX_DIGITS = 9
#: Longest part of a text that a message repeats, and most metrics that one names.
_MAX_SHOWN, _MAX_NAMED = 40, 3


def parse_object(text: str) -> dict[str, Any] | None:
    """Return a text as a JSON object; None if it is not one."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def is_object(text: str) -> bool:
    """Return whether a text is a JSON object."""
    return parse_object(text) is not None


def number(text: str) -> int | None:
    """Return a text as a version number; None if it is not one."""
    is_number = text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS
    return int(text) if is_number else None


def _describe(value: Any) -> str:
    """Return a short text for a JSON value."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    return "too large" if type(value) is int else json.dumps(value)[:_MAX_SHOWN]


def parse_metrics(text: str | None) -> tuple[dict[str, float], list[str]]:
    """Return the metrics of a tag that can be read, and what is wrong with the others.

    ``text``: a JSON object of numbers; None if the tag is missing, which is no problem. A metric
    may be NaN or infinite.
    """
    if text is None:
        return {}, []
    values = parse_object(text)
    if values is None:
        return {}, ["the tag `metrics` is not a JSON object"]
    metrics: dict[str, float] = {}
    wrong: list[str] = []
    for name, value in values.items():
        try:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError
            metrics[name] = float(value)
        except (TypeError, OverflowError):
            wrong.append(f"{name[:_MAX_SHOWN]} is {_describe(value)}, not a number")
    if len(wrong) > _MAX_NAMED:
        wrong[_MAX_NAMED:] = [f"{len(wrong) - _MAX_NAMED} more"]
    return metrics, [f"the tag `metrics`: {', '.join(wrong)}"] if wrong else []
