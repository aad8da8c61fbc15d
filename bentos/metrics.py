"""What Prometheus is told at ``/metrics``."""

from __future__ import annotations

import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_seconds = Histogram(
    "moovier_request_seconds",
    "Time to answer a request, by route and status.",
    ["method", "route", "status"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
_answers = Counter(
    "moovier_answers_total",
    "Lists of recommendations given, by model and source.",
    ["model", "source"],
)
# Of several workers the one that looked last is right; one that was killed says no more.
_reachable = Gauge(
    "moovier_registry_reachable",
    "1 when the last look at MLflow went well, else 0.",
    multiprocess_mode="mostrecent",
)
_champion = Gauge(
    "moovier_champion_version",
    "Version number of the loaded champion; 0 without one.",
    multiprocess_mode="mostrecent",
)
_loaded = Gauge("moovier_loaded_models", "Models in memory.", multiprocess_mode="mostrecent")


def exposition() -> bytes:
    """All figures in Prometheus's text format, those of all workers together."""
    # BentoML gives its workers a folder to share their figures in.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Requests:
    """Counts and times requests by the route's template: a raw path is free text of anybody's,
    and each one would be a series of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if route != "none" else "any"
            _seconds.labels(method, route, status).observe(time.perf_counter() - start)


def count_answers(model: str, known: int, unknown: int) -> None:
    """Lists given by the model, and lists of popular movies given to unknown users."""
    if known:
        _answers.labels(model, "model").inc(known)
    if unknown:
        _answers.labels(model, "popular").inc(unknown)


def registry_state(*, reachable: bool, champion: int, loaded: int) -> None:
    """After each look at the registry."""
    _reachable.set(float(reachable))
    _champion.set(champion)
    _loaded.set(loaded)
