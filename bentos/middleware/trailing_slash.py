"""Answers a path with a trailing slash like the path without it."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class TrailingSlash:
    """Removes one slash at the end of a path, except from ``/``.

    An answer is simpler than a redirect, which proxies with a prefix send to the wrong address, and
    which some clients follow with GET instead of POST.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on without the slash."""
        if scope["type"] == "http":
            path: str = scope["path"]
            if len(path) > 1 and path.endswith("/"):
                scope["path"] = path[:-1]
                scope["raw_path"] = scope.get("raw_path", path.encode()).removesuffix(b"/")
        await self.app(scope, receive, send)
