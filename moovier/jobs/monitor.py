"""Check whether the champion still fits the data; decide on an alarm.

`dags/moovier_monitor.py` has the steps that follow, docs/monitoring.md the metrics.
"""

from __future__ import annotations

import logging
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from moovier.errors import BundleError
from moovier.jobs import ingest, monitoring_metrics
from moovier.jobs.config import parse_config
from moovier.jobs.dataset import parse_dataset
from moovier.jobs.registration import open_registry, run_url
from moovier.jobs.run_key import run_key
from moovier.jobs.stage_results import with_keys
from moovier.models.bundle import Bundle, DataFacts
from moovier.monitoring import alarm_policy, drift
from moovier.monitoring.alarm_policy import Reason, Trigger
from moovier.monitoring.dataset_diff import Change, Snapshot
from moovier.monitoring.drift import Drift, Limits
from moovier.registry.client import Registry
from moovier.registry.tracking import Tracking
from moovier.registry.version import (
    MONITORING,
    MONITORING_TRIGGER,
    PREVIOUS,
    Version,
)
from moovier.report import monitoring as page
from moovier.settings import Settings, load_settings

logger = logging.getLogger(__name__)

OnProgress = Callable[[str], None]
#: The tag ``part`` of a check's MLflow run, and the folder of its artefacts.
PART, ARTEFACTS = "monitoring", "report"
#: Limits that keep the tag ``monitoring`` below MLflow's 5,000 characters.
_MOST_REASONS, _LONGEST_REASON = 10, 250


class MonitorConfig(BaseModel):
    """Options of a check; None means the setting ``monitor_…`` of the same name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str | None = Field(None, description="Data set, as in the setting `data`.")
    significance: float | None = Field(None, gt=0, le=1)
    ratings: PositiveFloat | None = None
    users: PositiveFloat | None = None
    movies: PositiveFloat | None = None
    genres: PositiveFloat | None = None
    quality: PositiveFloat | None = None
    age_days: PositiveFloat | None = None
    act: bool = Field(True, description="Whether an alarm may trigger a retraining.")

    @classmethod
    def of(cls, config: MonitorConfig | Mapping[str, Any]) -> MonitorConfig:
        """Return ``config`` as a validated configuration.

        Raises:
            BadRequest: a field is unknown or out of range.
        """
        return parse_config(cls, config, "monitoring")

    def completed(self, settings: Settings) -> MonitorConfig:
        """Return a copy with the settings' values in place of None."""
        names = ("significance", "ratings", "users", "movies", "genres", "quality", "age_days")
        defaults = settings.model_dump(include={f"monitor_{name}" for name in names})
        values = self.model_dump()
        for name in names:
            if values[name] is None:
                values[name] = defaults[f"monitor_{name}"]
        return MonitorConfig.model_validate(values)

    @property
    def limits(self) -> Limits:
        """The drift limits of a completed configuration."""
        fields = ("significance", "ratings", "users", "movies", "genres")
        return Limits(**self.model_dump(include=set(fields)))


@dataclass(frozen=True)
class _Check:
    """The data, the models and the measured drift of one check."""

    champion: Version
    model: Bundle
    previous_model: Bundle | None
    data: DataFacts
    current: Snapshot
    change: Change
    added_drift: Drift
    removed_drift: Drift


def run_check(
    config: MonitorConfig | Mapping[str, Any],
    *,
    key: str | None = None,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any] | None:
    """Compare the current data with the champion's; None without a champion.

    ``key`` names the check: a call with the same key continues the same MLflow run. Returns the
    content of the registered model's tag ``monitoring``, and

    - ``trigger``: whether a retraining should start, and ``why`` or why not;
    - ``retraining``: its configuration, with the reason;
    - ``trigger_key``: a key that is the same for the same data;
    - ``notes`` on what could not be measured, and ``excess`` for :func:`record_trigger`.

    The caller starts the retraining and then calls :func:`record_trigger`.

    Raises:
        BadRequest: the configuration is invalid.
        DataError: the data set is unavailable or invalid.
        RegistryUnavailable: MLflow does not answer.
    """
    settings = settings or load_settings()
    config = MonitorConfig.of(config).completed(settings)
    on_progress = on_progress or _silent
    ingest.check_choice(config.data, settings)
    registry = open_registry(settings)
    champion = registry.listing().last_champion()
    if champion is None:
        return None
    check = _measure_drift(champion, registry, config, settings, on_progress)
    on_progress("comparing lists, feedback and ages")
    metrics, reasons, notes = _measure_quality(check, registry, config, settings)
    data = check.data
    trigger, why = alarm_policy.should_retrain(
        reasons, _last_trigger(registry), data_hash=data.hash, champion=champion.number
    )
    if trigger and not config.act:
        trigger, why = False, "retraining is switched off for this check"
    summary = _summary(check, metrics, reasons)
    summary["run_id"] = _log(summary, check, config, notes, why, key, settings)
    registry.set_model_tag(MONITORING, orjson.dumps(summary).decode())
    return {
        **summary,
        "notes": notes,
        "trigger": trigger,
        "why": why,
        "retraining": {
            "reason": "monitoring: " + "; ".join(summary["reasons"]),
            **({} if config.data is None else {"data": config.data}),
        },
        "excess": alarm_policy.excess(reasons),
        "trigger_key": f"monitoring-{data.hash.removesuffix('.dir')}",
    }


def _summary(
    check: _Check, metrics: monitoring_metrics.Metrics, reasons: Sequence[Reason]
) -> dict[str, Any]:
    """Return the content of the tag ``monitoring``, without the id of the run."""
    return {
        "at": int(time.time()),
        "run_id": "",
        "alarm": bool(reasons),
        "reasons": [reason.text[:_LONGEST_REASON] for reason in reasons[:_MOST_REASONS]],
        "figures": metrics,
        "data": {"name": check.data.name, "hash": check.data.hash},
        "champion": {"name": check.champion.name, "version": check.champion.number},
    }


def _measure_drift(
    champion: Version,
    registry: Registry,
    config: MonitorConfig,
    settings: Settings,
    on_progress: OnProgress,
) -> _Check:
    """Fetch the current data and the models, and measure the drift."""
    on_progress("fetching the current data")
    pulled = ingest.pull(config.data, settings=settings)
    ingest.check_sample(pulled, champion.tags, config.data, settings)
    dataset = parse_dataset(pulled, settings)
    current = Snapshot(dataset.index, dataset.ratings, dataset.catalogue)
    model = _load(registry, champion, settings)
    trained_on = Snapshot(model.index, model.histories.ratings(), model.catalogue)
    change = Change.between(trained_on, current)
    on_progress(
        f"{int(change.added.sum())} ratings added, {int(change.removed.sum())} ratings removed"
    )
    return _Check(
        champion=champion,
        model=model,
        previous_model=_load_previous(registry, settings),
        data=dataset.facts,
        current=current,
        change=change,
        added_drift=drift.added_drift(change, config.limits, seed=settings.seed),
        removed_drift=drift.removed_drift(change, config.limits, seed=settings.seed),
    )


def _measure_quality(
    check: _Check, registry: Registry, config: MonitorConfig, settings: Settings
) -> tuple[monitoring_metrics.Metrics, list[Reason], list[str]]:
    """Return all metrics, the reasons for an alarm, and notes on missing metrics."""
    lists = monitoring_metrics.list_metrics(check.model, check.previous_model, seed=settings.seed)
    live = monitoring_metrics.live_quality(settings)
    ages = monitoring_metrics.ages(registry, check.champion, check.current.ratings, settings)
    service, service_notes = monitoring_metrics.service_metrics(settings)
    reasons = [
        *alarm_policy.drift_reasons(check.added_drift, check.removed_drift),
        *alarm_policy.quality_reasons(live, config.quality or 0.0),
        *alarm_policy.age_reasons(
            ages["since_retraining_days"],
            config.age_days or 0.0,
            data_changed=check.data.hash != check.model.card.data.hash,
        ),
    ]
    metrics = monitoring_metrics.finite(
        monitoring_metrics.change_metrics(check.change)
        | monitoring_metrics.drift_metrics(check.added_drift, "drift")
        | monitoring_metrics.drift_metrics(check.removed_drift, "deleted_drift")
        | lists
        | monitoring_metrics.live_metrics(live)
        | ages
        | service
    )
    notes = monitoring_metrics.notes(
        check.change, check.added_drift, live, has_previous=check.previous_model is not None
    )
    return metrics, reasons, [*notes, *service_notes]


def describe_check(check: Mapping[str, Any], *, settings: Settings | None = None) -> str:
    """Return the result of :func:`run_check` as Markdown, for logs and notes."""
    settings = settings or load_settings()
    reasons = "; ".join(check["reasons"])
    figures = "\n".join(f"- {name} {value:.4g}" for name, value in sorted(check["figures"].items()))
    return "\n\n".join(
        [
            f"Alarm: {reasons}" if check["alarm"] else "No alarm",
            f"Retraining: {'yes' if check['trigger'] else 'no'}, {check['why']}",
            figures,
            f"MLflow: {run_url(settings, check['run_id'])}",
        ]
    )


def record_trigger(check: Mapping[str, Any], *, settings: Settings | None = None) -> None:
    """Record that this alarm triggered a retraining, to trigger only one.

    ``check``: the result of :func:`run_check`.
    """
    settings = settings or load_settings()
    check = with_keys(check, ("excess", "at", "data", "champion"), "check", "start a new check")
    registry = open_registry(settings)
    trigger = alarm_policy.record(
        check["excess"],
        _last_trigger(registry),
        at=check["at"],
        data_hash=check["data"]["hash"],
        champion=check["champion"]["version"],
    )
    registry.set_model_tag(MONITORING_TRIGGER, trigger.model_dump_json())


def _load(registry: Registry, version: Version, settings: Settings) -> Bundle:
    """Return the version's bundle from the folder shared with the service."""
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return registry.load_bundle(version, folder)


def _load_previous(registry: Registry, settings: Settings) -> Bundle | None:
    """Return the previous champion's bundle, None if there is none that can be used."""
    previous = registry.alias(PREVIOUS)
    if previous is None:
        return None
    try:
        return _load(registry, previous, settings)
    except BundleError as error:
        logger.warning("the lists are not compared with %s: %s", previous.title, error)
        return None


def _last_trigger(registry: Registry) -> Trigger | None:
    """Return the last trigger, or None if the tag is missing or invalid."""
    try:
        return Trigger.model_validate_json(registry.model_tags().get(MONITORING_TRIGGER, ""))
    except ValidationError:
        return None


def _log(
    summary: Mapping[str, Any],
    check: _Check,
    config: MonitorConfig,
    notes: list[str],
    why: str,
    key: str | None,
    settings: Settings,
) -> str:
    """Log one MLflow run with metrics, versions, hashes and the page; return its id."""
    tracking = Tracking(
        open_registry(settings), settings.mlflow_tracking_uri, f"{settings.experiment}-monitoring"
    )
    data, trained_on = check.data, check.model.card.data
    # Two checks may begin in the same second.
    key = run_key(key or f"{data.hash[:12]}-{summary['at']}-{secrets.token_hex(3)}")
    run_id = tracking.start(f"monitoring {key}", retraining=key, part=PART)
    tracking.log(
        run_id,
        params={
            **config.model_dump(mode="json"),
            "champion": summary["champion"]["name"],
            "champion_version": summary["champion"]["version"],
            "champion_data_name": trained_on.name,
            "champion_data_hash": trained_on.hash,
            "data_name": data.name,
            "data_hash": data.hash,
        },
        metrics={**summary["figures"], "alarm": float(summary["alarm"])},
        tags={
            "alarm": str(summary["alarm"]).lower(),
            "reasons": "\n".join(summary["reasons"])[:4900],
        },
    )
    tracking.log_data(run_id, data, "monitoring")
    with tempfile.TemporaryDirectory() as folder:
        page_file = page.write(
            Path(folder),
            summary=summary,
            data=data,
            trained_on=trained_on,
            change=check.change,
            added_drift=check.added_drift,
            notes=notes,
            why=why,
        )
        tracking.log_folder(run_id, page_file.parent, ARTEFACTS)
    tracking.finish(run_id)
    return run_id


def _silent(_text: str) -> None:
    """Report no progress."""
