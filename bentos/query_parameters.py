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
#: The parameters of each route by its unique id, computed on the first request.
_by_route: dict[str, Mapping[str, bool]] = {}


async def refuse_unknown_parameters(request: Request) -> None:
    """Check the query string of a request against its route.

    A page of the web page keeps its own state in the query string, so only routes of the API are
    checked.

    Raises:
        BadRequest: a parameter is unknown, or a parameter with one value comes twice.
    """
    route = request.scope.get("route")
    if not request.scope["query_string"] or not isinstance(route, APIRoute):
        return
    if not route.include_in_schema:
        return
    takes_list = _parameters(route)
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in takes_list:
            raise BadRequest(
                f"unknown query parameter {name[:_MAX_NAME_LENGTH]!r}; {_known(takes_list)}"
            )
        if count > 1 and not takes_list[name]:
            raise BadRequest(f"query parameter {name} is given {count} times; give it once")


def _known(parameters: Mapping[str, bool]) -> str:
    if not parameters:
        return "this route has none"
    return f"this route has {', '.join(sorted(parameters))}"


def _parameters(route: APIRoute) -> Mapping[str, bool]:
    """Return the query parameters of a route; True for those that take several values."""
    parameters = _by_route.get(route.unique_id)
    if parameters is None:
        fields = get_flat_dependant(route.dependant).query_params
        parameters = {field.alias: _is_sequence(field.field_info.annotation) for field in fields}
        _by_route[route.unique_id] = parameters
    return parameters


def _is_sequence(annotation: Any) -> bool:
    origin = get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Sequence)
