"""What Prometheus is told at ``/metrics``."""

from __future__ import annotations

import math
import os
import time
import uuid
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos import logs, tracing
from moovier.registry.monitoring_summary import MonitoringSummary

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
_fold_ins = Counter(
    "moovier_fold_ins_total",
    "Lists for people as no model knows them, from their ratings alone, by model.",
    ["model"],
)
_swaps = Counter("moovier_champion_swaps_total", "New champions taken over or refused.", ["result"])
_tmdb = Gauge(
    "moovier_tmdb_usable",
    "1 while TMDB is asked for details, 0 while it is left alone after failures or without a key.",
    multiprocess_mode="mostrecent",
)
_feedback = Counter("moovier_feedback_total", "Ratings given, by what became of them.", ["result"])
_waiting = Gauge(
    "moovier_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum"
)
# Of several workers the one that looked last is right; one that was killed says no more.
_reachable = Gauge(
    "moovier_registry_reachable",
    "1 when the last look at MLflow went well, else 0.",
    multiprocess_mode="mostrecent",
)
_database = Gauge(
    "moovier_database_reachable",
    "1 when feedback could be read and written the last time, else 0.",
    multiprocess_mode="mostrecent",
)
_champion = Gauge(
    "moovier_champion_version",
    "Version number of the loaded champion; 0 without one.",
    multiprocess_mode="mostrecent",
)
_refused = Gauge(
    "moovier_champion_refused",
    "1 while the registry names a champion that cannot be used and an older one answers, else 0.",
    multiprocess_mode="mostrecent",
)
_monitoring = Gauge(
    "moovier_monitoring",
    "Figures of the last look of moovier_monitor (docs/monitoring.md).",
    ["figure"],
    multiprocess_mode="mostrecent",
)
_alarm = Gauge(
    "moovier_monitoring_alarm",
    "1 when the last look of moovier_monitor was an alarm, else 0.",
    multiprocess_mode="mostrecent",
)
_looked = Gauge(
    "moovier_monitoring_age_seconds",
    "Seconds since the last look of moovier_monitor; NaN before the first.",
    multiprocess_mode="mostrecent",
)
_loaded = Gauge("moovier_loaded_models", "Models in memory.", multiprocess_mode="mostrecent")
_recorded = Counter(
    "moovier_lists_recorded_total",
    "Lists noted down as they were served: stored, dropped (the database was away or slow), or "
    "over_limit (more a second than are recorded).",
    ["result"],
)
_arms = Histogram(
    "moovier_arm_seconds",
    "Time to answer a request of an experiment, by arm.",
    ["arm"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_shadows = Counter(
    "moovier_shadow_lists_total",
    "Lists that a challenger made in the shadow: made, dropped (it was busy), or failed.",
    ["result"],
)
_overlap = Histogram(
    "moovier_shadow_overlap",
    "Share of a list's first ten movies that the shadow's list has among its own.",
    buckets=tuple(share / 10 for share in range(11)),
)
_challenger = Gauge(
    "moovier_experiment_challenger_version",
    "Version number of the challenger of the experiment in force; 0 without one.",
    multiprocess_mode="mostrecent",
)
_trial_refused = Gauge(
    "moovier_experiment_refused",
    "1 while the registry names an experiment that cannot be put in force, else 0.",
    multiprocess_mode="mostrecent",
)


@lru_cache(maxsize=1000)
def _timed(method: str, route: str, status: int) -> Histogram:
    """One series; finding it anew for each request takes longer than counting."""
    return _seconds.labels(method, route, status)


@lru_cache(maxsize=1000)
def _answered_by(model: str, source: str) -> Counter:
    return _answers.labels(model, source)


def exposition() -> bytes:
    """All figures in Prometheus's text format, those of all workers together."""
    # BentoML gives its workers a folder to share their figures in.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


class Requests:
    """Counts, times and names requests: each gets an id, which the answer and the log lines about
    it carry. Counted is by the route's template: a raw path is free text of anybody's, and each one
    would be a series of its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        status = 500
        request_id = uuid.uuid4().hex

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                # The span ends with the answer's last byte.
                tracing.note(request_id, *_route(scope))
                message.setdefault("headers", [])
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        token = logs.request_id.set(request_id)
        try:
            await self._app(scope, receive, noting)
        finally:
            answered(*_route(scope), status, time.perf_counter() - start)
            logs.request_id.reset(token)


def _route(scope: Scope) -> tuple[str, str]:
    """Method and template of the route that answers; neither where none does."""
    route = getattr(scope.get("route"), "path", "none")
    return (scope["method"] if route != "none" else "any"), route


def answered(method: str, route: str, status: int, seconds: float) -> None:
    """Count and time a request; also those that came past the middleware."""
    _timed(method, route, status).observe(seconds)
    logs.answered(method, route, status, seconds)


def count_answers(model: str, known: int, unknown: int) -> None:
    """Lists given by the model, and lists of popular movies given to unknown users."""
    if known:
        _answered_by(model, "model").inc(known)
    if unknown:
        _answered_by(model, "popular").inc(unknown)


def count_fold_in(model: str) -> None:
    """A list from ratings that the model was not trained on."""
    _fold_ins.labels(model).inc()


def count_swap(result: str) -> None:
    """``taken`` or ``refused``."""
    _swaps.labels(result).inc()


def count_feedback(result: str, ratings: int) -> None:
    """``stored``, ``ignored`` or ``deleted``."""
    if ratings:
        _feedback.labels(result).inc(ratings)


def count_recorded(result: str, lists: int) -> None:
    """``stored``, ``dropped`` or ``over_limit``."""
    _recorded.labels(result).inc(lists)


def answered_in_experiment(arm: str, seconds: float) -> None:
    """A request was answered whose arm an experiment drew."""
    _arms.labels(arm).observe(seconds)


def count_shadow(result: str, overlap: float | None = None) -> None:
    """``made``, with its overlap where there is one, ``dropped`` or ``failed``."""
    _shadows.labels(result).inc()
    if overlap is not None:
        _overlap.observe(overlap)


def experiment_state(*, challenger: int, refused: bool) -> None:
    """After each look at the registry."""
    _challenger.set(challenger)
    _trial_refused.set(float(refused))


def in_flight(change: int) -> None:
    """A request came (1) or was answered (-1)."""
    _waiting.inc(change)


def tmdb_state(*, usable: bool) -> None:
    """After each look at the registry, too."""
    _tmdb.set(float(usable))


def feedback_state(*, reachable: bool) -> None:
    """After each look at the registry, too."""
    _database.set(float(reachable))


def monitoring_state(seen: MonitoringSummary | None) -> None:
    """After each look at the registry: what monitoring saw last, None where it never looked.

    A figure that it no longer tells is NaN, which Prometheus draws as a gap: a series cannot be
    taken back from the files that several workers share.
    """
    figures = {} if seen is None else seen.figures
    for gone in _told - figures.keys():
        _monitoring.labels(gone).set(math.nan)
    for name, value in figures.items():
        _monitoring.labels(name).set(value)
    _told.update(figures)
    _alarm.set(float(seen is not None and seen.alarm))
    _looked.set(math.nan if seen is None else max(0.0, time.time() - seen.at))


#: Names of the figures that were shown since the start.
_told: set[str] = set()


def registry_state(*, reachable: bool, refused: bool, champion: int, loaded: int) -> None:
    """After each look at the registry."""
    _reachable.set(float(reachable))
    _refused.set(float(refused))
    _champion.set(champion)
    _loaded.set(loaded)
