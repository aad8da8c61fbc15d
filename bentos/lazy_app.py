"""Builds the application only in the process that answers requests.

BentoML's master and the trainer import the service too, and would each spend a second of the start
on an application that they do not use.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import AsyncIterator, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

if TYPE_CHECKING:
    from fastapi import FastAPI

    from bentos.app_state import AppState


class LazyApp(Starlette):
    """Lazy ASGI proxy: builds the application on first use."""

    def __init__(self, *, traced: bool) -> None:
        """Make a proxy; with ``traced`` the middleware has no fast path."""
        super().__init__(lifespan=_lifespan)
        self._traced = traced

    @cached_property
    def api(self) -> FastAPI:
        """Return the application."""
        with _no_garbage_collection():
            from bentos.app import create_app

            return create_app()

    @property
    def running(self) -> AppState:
        """Return the application's state."""
        state: AppState = self.api.state.running
        return state

    @property
    def routes(self) -> list[BaseRoute]:
        """Return the application's routes."""
        return self.api.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request to the application."""
        await self.api(scope, receive, send)

    def front(self, app: ASGIApp) -> ASGIApp:
        """Return ``app``, which is BentoML's, behind the middleware."""
        api = self.api
        from bentos.middleware.stack import front

        return front(app, api, self.running, traced=self._traced)


@contextlib.asynccontextmanager
async def _lifespan(lazy_app: Any) -> AsyncIterator[None]:
    async with lazy_app.api.router.lifespan_context(lazy_app.api):
        yield


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Pause the collection: it costs a sixth of an import's time and finds nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
