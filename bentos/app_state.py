"""The state of the running application."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fastapi import Request
from starlette.exceptions import HTTPException

from bentos.auth import Authenticator
from bentos.middleware.rate_limit import TokenBuckets
from moovier.serving.context import ServingContext


@dataclass
class AppState:
    """The parts of a running application.

    ``context`` and ``authenticator`` are None before the start. ``trainer`` is BentoML's client of
    the fine-tuning process; :mod:`bentos.service` sets it.
    """

    context: ServingContext | None = None
    authenticator: Authenticator | None = None
    trainer: Any = None
    rate_limit: TokenBuckets = field(default_factory=TokenBuckets)


def state_of(request: Request) -> AppState:
    """Return the state of the application that a request belongs to."""
    state: AppState = request.app.state.running
    return state


def context_of(request: Request) -> ServingContext:
    """Return the serving context of a request's application.

    Raises:
        HTTPException: 503 before the start is complete.
    """
    context = state_of(request).context
    if context is None:
        raise HTTPException(503, "the service is starting; try again in a few seconds")
    return context
