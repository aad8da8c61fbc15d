"""Prometheus gauges of the models, the registry, the databases and the monitoring."""

from __future__ import annotations

import math
import time

from prometheus_client import Counter, Gauge

from moovier.registry.monitoring_summary import MonitoringSummary
from moovier.registry.version import MONITORING
from moovier.serving.bundle_loader import LoadedModel, RejectedModel
from moovier.serving.context import ServingContext


def _gauge(name: str, description: str, *labels: str) -> Gauge:
    # Of several workers the one that wrote last is right; a killed worker writes no more.
    return Gauge(name, description, labels, multiprocess_mode="mostrecent")


_swaps = Counter("moovier_champion_swaps_total", "New champions, loaded or refused.", ["result"])
_registry_reachable = _gauge(
    "moovier_registry_reachable", "1 if the last read of MLflow succeeded, else 0."
)
_database_reachable = _gauge(
    "moovier_database_reachable", "1 if the feedback database answered the last time, else 0."
)
_tmdb_usable = _gauge(
    "moovier_tmdb_usable",
    "1 while TMDB is asked for details, 0 without a key or while requests pause after failures.",
)
_loaded_models = _gauge("moovier_loaded_models", "Models in memory.")
_champion = _gauge(
    "moovier_champion_version", "Version number of the loaded champion; 0 without one."
)
_champion_refused = _gauge(
    "moovier_champion_refused",
    "1 while the registry's champion cannot be used and an older one answers, else 0.",
)
_challenger = _gauge(
    "moovier_experiment_challenger_version",
    "Version number of the running experiment's challenger; 0 without one.",
)
_experiment_refused = _gauge(
    "moovier_experiment_refused",
    "1 while the registry names an experiment that cannot run, else 0.",
)
_monitoring = _gauge(
    "moovier_monitoring", "Metrics of the last moovier_monitor run (docs/monitoring.md).", "figure"
)
_alarm = _gauge(
    "moovier_monitoring_alarm", "1 if the last moovier_monitor run raised an alarm, else 0."
)
_monitoring_age = _gauge(
    "moovier_monitoring_age_seconds",
    "Seconds since the last moovier_monitor run; NaN before the first.",
)


class StateReporter:
    """Writes the gauges, and counts changes of the champion between two reports."""

    def __init__(self, context: ServingContext) -> None:
        self._context = context
        self._champion: LoadedModel | None = context.model_store.champion
        self._rejected: RejectedModel | None = context.model_store.champion_rejected
        self._shown_metrics: set[str] = set()

    def report(self) -> None:
        """Write all gauges; call it after each refresh of the model store."""
        context, model_store = self._context, self._context.model_store
        champion, rejected = model_store.champion, model_store.champion_rejected
        if champion is not self._champion:
            _swaps.labels("taken").inc()
        if rejected is not None and rejected != self._rejected:
            _swaps.labels("refused").inc()
        self._champion, self._rejected = champion, rejected
        experiment = model_store.experiment
        _registry_reachable.set(float(model_store.registry_error is None))
        _database_reachable.set(float(context.feedback.trouble is None))
        _tmdb_usable.set(float(context.details.usable))
        _loaded_models.set(model_store.count())
        _champion.set(0 if champion is None else champion.number)
        _champion_refused.set(float(rejected is not None))
        _challenger.set(0 if experiment is None else experiment.challenger.number)
        _experiment_refused.set(float(model_store.experiment_rejected is not None))
        self._report_monitoring(MonitoringSummary.of(model_store.model_tags.get(MONITORING)))

    def _report_monitoring(self, summary: MonitoringSummary | None) -> None:
        """Write the last monitoring run's metrics; a metric that it no longer has becomes NaN.

        Prometheus draws NaN as a gap. A series cannot be removed from the files that several
        workers share.
        """
        metrics = {} if summary is None else summary.figures
        for name in self._shown_metrics - metrics.keys():
            _monitoring.labels(name).set(math.nan)
        for name, value in metrics.items():
            _monitoring.labels(name).set(value)
        self._shown_metrics.update(metrics)
        _alarm.set(float(summary is not None and summary.alarm))
        _monitoring_age.set(math.nan if summary is None else max(0.0, time.time() - summary.at))
