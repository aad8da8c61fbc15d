"""Builds the middleware in front of BentoML's routes."""

from __future__ import annotations

from starlette.types import ASGIApp

from bentos.app_state import AppState
from bentos.middleware.compression import Compression
from bentos.middleware.concurrency_limit import MAX_IN_FLIGHT, ConcurrencyLimit
from bentos.middleware.fast_path import FastPath
from bentos.middleware.head import Head
from bentos.middleware.metrics import RequestMetrics
from bentos.middleware.probes import Probes
from bentos.middleware.rate_limit import RateLimit
from bentos.middleware.request_id import RequestId
from bentos.middleware.span import Span
from bentos.middleware.text_ids import TextIds
from bentos.middleware.trailing_slash import TrailingSlash


def front(
    app: ASGIApp,
    api: ASGIApp,
    state: AppState,
    *,
    traced: bool,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> RequestId:
    """Return ``app`` behind all middleware; ``api`` is the application that answers probes.

    With ``traced`` every request gets a span and goes to the routes, so there is no fast path.
    """
    # The fast path answers exact paths and POST only, so it needs neither of these two.
    app = TrailingSlash(Head(Probes(TextIds(app, state), api)))
    if not traced:
        app = FastPath(app, state)
    app = Compression(app)
    app = ConcurrencyLimit(app, max_in_flight=max_in_flight)
    app = RateLimit(app, state.rate_limit)
    app = RequestMetrics(app)
    if traced:
        app = Span(app)
    return RequestId(app)
