"""Sends probes and schemas to the application instead of BentoML's own routes."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

PATHS = ("/livez", "/readyz", "/schema.json", "/docs.json")


class Probes:
    """Lets ``api`` answer ``PATHS``.

    BentoML's probes only return a status, and its schemas leave this application's routes out.
    """

    def __init__(self, app: ASGIApp, api: ASGIApp) -> None:
        self.app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the application that answers it."""
        is_probe = scope["type"] == "http" and scope["path"] in PATHS
        await (self._api if is_probe else self.app)(scope, receive, send)
