"""Prometheus metrics of requests and answers; :mod:`bentos.state_metrics` has the gauges."""

from __future__ import annotations

import os
from functools import lru_cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from moovier.serving.events import ServingEvents

_request_seconds = Histogram(
    "moovier_request_seconds",
    "Time to answer a request, by route and status.",
    ["method", "route", "status"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300),
)
_in_flight = Gauge(
    "moovier_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum"
)
_answers = Counter(
    "moovier_answers_total", "Lists of recommendations, by model and source.", ["model", "source"]
)
_fold_ins = Counter("moovier_fold_ins_total", "Lists computed by fold-in, by model.", ["model"])
_feedback = Counter(
    "moovier_feedback_total", "Ratings sent by users: stored, ignored or deleted.", ["result"]
)
_recorded_lists = Counter(
    "moovier_lists_recorded_total",
    "Served lists: stored in the database, dropped (the database was unavailable or slow), or "
    "over_limit (above the recording limit per second).",
    ["result"],
)
_arm_seconds = Histogram(
    "moovier_arm_seconds",
    "Time to answer a request of an experiment, by arm.",
    ["arm"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)
_shadow_lists = Counter(
    "moovier_shadow_lists_total",
    "Lists of a shadow experiment's challenger: made, dropped (it was busy), or failed.",
    ["result"],
)
_shadow_overlap = Histogram(
    "moovier_shadow_overlap",
    "Share of a served list's first ten movies that the shadow list contains.",
    buckets=tuple(share / 10 for share in range(11)),
)


@lru_cache(maxsize=1000)
def _request_series(method: str, route: str, status: int) -> Histogram:
    # Cached, since finding the series takes longer than counting.
    return _request_seconds.labels(method, route, status)


@lru_cache(maxsize=1000)
def _answer_series(model: str, source: str) -> Counter:
    return _answers.labels(model, source)


def exposition() -> bytes:
    """Return the metrics of all workers in Prometheus's text format."""
    # BentoML sets the variable to a folder in which its workers share their metrics.
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count and time a request."""
    _request_series(method, route, status).observe(seconds)


def change_in_flight(change: int) -> None:
    """Count a request that started (1) or ended (-1)."""
    _in_flight.inc(change)


def count_answers(model: str, personal: int, popular: int) -> None:
    """Count a model's personal lists and its lists of popular movies."""
    if personal:
        _answer_series(model, "model").inc(personal)
    if popular:
        _answer_series(model, "popular").inc(popular)


def count_fold_in(model: str) -> None:
    """Count a list computed by fold-in."""
    _fold_ins.labels(model).inc()


def count_feedback(result: str, ratings: int) -> None:
    """Count ratings that were ``stored``, ``ignored`` or ``deleted``."""
    if ratings:
        _feedback.labels(result).inc(ratings)


def count_recorded(result: str, lists: int) -> None:
    """Count served lists that were ``stored``, ``dropped`` or ``over_limit``."""
    _recorded_lists.labels(result).inc(lists)


def observe_arm(arm: str, seconds: float) -> None:
    """Time a request of an experiment."""
    _arm_seconds.labels(arm).observe(seconds)


def count_shadow_list(result: str, overlap: float | None) -> None:
    """Count a shadow list that was ``made``, ``dropped`` or ``failed``; observe its overlap."""
    _shadow_lists.labels(result).inc()
    if overlap is not None:
        _shadow_overlap.observe(overlap)


#: Reports what the serving package does.
EVENTS = ServingEvents(
    lists_answered=count_answers,
    fold_in=count_fold_in,
    experiment_answered=observe_arm,
    lists_recorded=count_recorded,
    shadow_list=count_shadow_list,
)
