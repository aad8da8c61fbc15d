"""JSON files that are complete or missing, never half written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson


def read_json(file: Path) -> Any:
    """Return the content of a JSON file, or None if the file is missing."""
    try:
        return orjson.loads(file.read_bytes())
    except FileNotFoundError:
        return None


def write_json(file: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically; make the parent folders."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.write_bytes(as_bytes(value))
    temporary.replace(file)


def as_bytes(value: Any) -> bytes:
    """Return the content of the file that :func:`write_json` writes."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)
