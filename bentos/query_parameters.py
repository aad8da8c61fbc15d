"""Refuses query parameters that a route does not have, which FastAPI ignores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, get_origin

from fastapi import Request
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute

from moovier.errors import BadRequest

#: Longest part of an unknown name that an error repeats.
_MAX_NAME_LENGTH = 100


class QueryCheck:
    """A dependency that checks the query string of a request against its route."""

    def __init__(self) -> None:
        # By the route's unique id, because routes cannot be hashed.
        self._parameters: dict[str, Mapping[str, bool]] = {}

    async def __call__(self, request: Request) -> None:
        """Check a request to a route of the API; the web page's query strings are its own.

        Raises:
            BadRequest: a parameter is unknown, or a parameter with one value comes twice.
        """
        route = request.scope.get("route")
        if not request.scope["query_string"] or not isinstance(route, APIRoute):
            return
        if not route.include_in_schema:
            return
        parameters = self._parameters.get(route.unique_id)
        if parameters is None:
            parameters = self._parameters[route.unique_id] = _parameters(route)
        _check([name for name, _ in request.query_params.multi_items()], parameters)


def _check(names: Sequence[str], parameters: Mapping[str, bool]) -> None:
    for name, count in Counter(names).items():
        if name not in parameters:
            raise BadRequest(
                f"unknown query parameter {name[:_MAX_NAME_LENGTH]!r}; {_known(parameters)}"
            )
        if count > 1 and not parameters[name]:
            raise BadRequest(f"query parameter {name} is given {count} times; give it once")


def _known(parameters: Mapping[str, bool]) -> str:
    if not parameters:
        return "this route has none"
    return f"this route has {', '.join(sorted(parameters))}"


def _parameters(route: APIRoute) -> Mapping[str, bool]:
    """Return the query parameters of a route; True for those that take several values."""
    fields = get_flat_dependant(route.dependant).query_params
    return {field.alias: _is_sequence(field.field_info.annotation) for field in fields}


def _is_sequence(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Sequence)
