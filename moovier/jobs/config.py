"""Read a job's configuration from a command line or a trigger form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from moovier.errors import BadRequest

_Config = TypeVar("_Config", bound=BaseModel)


def parse_config(
    config_class: type[_Config], values: _Config | Mapping[str, Any], subject: str
) -> _Config:
    """Return ``values`` as a validated configuration; keep an instance as it is.

    ``subject``: what is configured, for the error message, such as ``monitoring``.

    Raises:
        BadRequest: a field is unknown or out of range.
    """
    if isinstance(values, config_class):
        return values
    try:
        return config_class.model_validate(dict(values))
    except ValidationError as error:
        reasons = "; ".join(map(_reason, error.errors()))
        raise BadRequest(f"Invalid {subject} configuration: {reasons}") from error


def _reason(error: Mapping[str, Any]) -> str:
    """Return the field, what is wrong with it, and its value."""
    text = f"{'.'.join(map(str, error['loc']))}: {error['msg']}"
    if error["type"] in ("extra_forbidden", "missing"):
        return text
    return f"{text}, not {str(error['input'])[:100]!r}"
