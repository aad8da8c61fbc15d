"""The application, built only in the process that answers: BentoML's master and the trainer import
the service as well, and would each spend a second of the start on what they never use."""

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


class LazyApp(Starlette):
    """Stands for our application wherever BentoML wants one."""

    def __init__(self) -> None:
        super().__init__(lifespan=_lifespan)

    @cached_property
    def api(self) -> FastAPI:
        with _no_collection():
            from bentos.app import create_app

            return create_app()

    @property
    def routes(self) -> list[BaseRoute]:
        return self.api.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.api(scope, receive, send)

    def fast_lane(self, inner: ASGIApp) -> ASGIApp:
        """A middleware; see :mod:`bentos.lane`."""
        api = self.api
        from bentos.lane import FastPath

        return FastPath(inner, api, api.state.limit)

    def probes(self, inner: ASGIApp) -> ASGIApp:
        """A middleware; see :class:`bentos.health.Probes`."""
        api = self.api
        from bentos.health import Probes

        return Probes(inner, api)


@contextlib.asynccontextmanager
async def _lifespan(late: Any) -> AsyncIterator[None]:
    async with late.api.router.lifespan_context(late.api):
        yield


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Modules stay, so looking for garbage among them costs a sixth of their import and finds
    none."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
