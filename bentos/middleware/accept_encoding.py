"""Parses the header Accept-Encoding."""

from __future__ import annotations

from functools import lru_cache

from starlette.types import Scope


def accepts(scope: Scope, encoding: str) -> bool:
    """Return whether the client of a request accepts ``encoding``, such as ``gzip``."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return _quality(value, encoding) > 0
    return False


@lru_cache(maxsize=256)
def _quality(header: bytes, encoding: str) -> float:
    """Return the weight, 0 to 1, that the header gives to an encoding (RFC 9110, 12.5.3)."""
    weights: dict[str, float] = {}
    for part in header.decode("latin-1").lower().split(","):
        coding, *parameters = (word.strip() for word in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        weights[coding] = weight
    return weights.get(encoding, weights.get("*", 0.0))
