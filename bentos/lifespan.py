"""Starts and stops the application, and follows the registry while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool

from bentos.app_state import AppState
from bentos.auth import Authenticator
from bentos.metrics import EVENTS
from bentos.state_metrics import StateReporter
from moovier.serving.context import ServingContext, close_context, open_context
from moovier.serving.movies import prepare
from moovier.settings import load_settings

logger = logging.getLogger(__name__)

#: Seconds that a stop waits for a call to MLflow.
_STOP_S = 2.0


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the serving context, follow the registry, and close everything at the end."""
    state: AppState = app.state.running
    settings = load_settings()
    context = await open_context(settings, EVENTS)
    authenticator = Authenticator(settings)
    state.rate_limit.per_s = settings.rate_per_s
    state.context, state.authenticator = context, authenticator
    stopping = asyncio.Event()
    following = asyncio.create_task(_follow_registry(context, stopping))
    # Objects that exist now stay in memory. Without freezing them every full garbage collection
    # visits all of them, and the slowest answers take a hundred times the usual.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        stopping.set()
        # A call that MLflow does not answer is abandoned.
        await asyncio.wait({following}, timeout=_STOP_S)
        following.cancel()
        await close_context(context)
        authenticator.close()


async def _follow_registry(context: ServingContext, stopping: asyncio.Event) -> None:
    """Refresh the models, and the feedback if its database was away, until ``stopping``."""
    reporter = StateReporter(context)
    while not stopping.is_set():
        try:
            if context.feedback.trouble is not None:
                await run_in_threadpool(context.feedback.reload)
            await run_in_threadpool(context.model_store.refresh)
            reporter.report()
            if (model := context.model_store.loaded(None)) is not None:
                await run_in_threadpool(prepare, model.recommender)
        except Exception:
            # The next refresh may succeed; the loaded models keep answering.
            logger.exception("the models could not be refreshed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), context.settings.registry_poll_s)
