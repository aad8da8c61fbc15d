"""The name of the route that answers a request."""

from __future__ import annotations

from typing import NamedTuple

from starlette.types import Scope


class RouteName(NamedTuple):
    """A route's template, for a request that is answered without the router."""

    path: str


def method_and_route(scope: Scope) -> tuple[str, str]:
    """Return the method and the route's template; ``any`` and ``none`` without a route.

    The raw path is never used: clients can invent paths, and each would be a metric of its own.
    """
    # BentoML's mount of the application has an empty path.
    route = getattr(scope.get("route"), "path", "")
    return (scope["method"], route) if route else ("any", "none")
