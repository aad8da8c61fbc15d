"""One look at whether the champion still fits: figures to MLflow and the registry, and a verdict.

See `dags/moovier_monitor.py` for what follows from it, and docs/monitoring.md for the figures.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from moovier.data.movielens import read_movielens, to_arrays
from moovier.errors import BadRequest
from moovier.jobs import ingest, monitoring_metrics
from moovier.jobs.registration import open_registry
from moovier.models import bundle
from moovier.models.bundle import Bundle, DataFacts
from moovier.monitoring import alarm_policy, drift
from moovier.monitoring.alarm_policy import Trigger
from moovier.monitoring.dataset_diff import Change, Snapshot
from moovier.monitoring.drift import Drift, Limits
from moovier.registry.client import Registry
from moovier.registry.tracking import Tracking
from moovier.registry.version import (
    CHAMPION,
    MONITORING,
    MONITORING_TRIGGER,
    PREVIOUS,
    Version,
)
from moovier.report import monitoring as page
from moovier.settings import Settings, load_settings

OnProgress = Callable[[str], None]
#: Of MLflow's run: the tag's value that tells looks from retrainings, and its artefacts' folder.
PART, ARTEFACTS = "monitoring", "report"
_MOST_REASONS, _LONGEST_REASON = 10, 250


class MonitorConfig(BaseModel):
    """What a person may ask of a look; None means the setting ``monitor_…`` of that name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: str | None = Field(None, description="Data set, as in the setting `data`.")
    significance: float | None = Field(None, gt=0, le=1)
    ratings: PositiveFloat | None = None
    users: PositiveFloat | None = None
    movies: PositiveFloat | None = None
    genres: PositiveFloat | None = None
    quality: PositiveFloat | None = None
    age_days: PositiveFloat | None = None
    act: bool = Field(True, description="Whether an alarm may ask for a retraining.")

    @classmethod
    def of(cls, config: MonitorConfig | Mapping[str, Any]) -> MonitorConfig:
        """
        Raises:
            BadRequest: a field is unknown or out of range.
        """
        if isinstance(config, MonitorConfig):
            return config
        try:
            return cls.model_validate(dict(config))
        except ValidationError as error:
            reasons = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()
            )
            raise BadRequest(f"what monitoring was asked: {reasons}") from error

    def completed(self, settings: Settings) -> MonitorConfig:
        """With the settings where it says nothing."""
        names = ("significance", "ratings", "users", "movies", "genres", "quality", "age_days")
        of_settings = settings.model_dump(include={f"monitor_{name}" for name in names})
        said = self.model_dump()
        for name in names:
            if said[name] is None:
                said[name] = of_settings[f"monitor_{name}"]
        return MonitorConfig.model_validate(said)

    @property
    def limits(self) -> Limits:
        """Of a completed one."""
        fields = ("significance", "ratings", "users", "movies", "genres")
        return Limits(**self.model_dump(include=set(fields)))


def run_check(
    config: MonitorConfig | Mapping[str, Any],
    *,
    key: str | None = None,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any] | None:
    """Compare what there is now with what the champion was trained on; None without a champion.

    ``key`` names the look: the same key again goes on in the same MLflow run. Returns what the
    tag ``monitoring`` of the registered model says then, and ``trigger``: whether a retraining is
    asked for, ``why`` it is or not, ``retraining``, its configuration with the reason, and
    ``trigger_key``, one for the data.
    Nothing is started here: whoever does calls :func:`record_trigger` afterwards.

    Raises:
        BadRequest: the configuration makes no sense.
        DataError: the data set cannot be had or must not be used.
        RegistryUnavailable: MLflow does not answer.
    """
    settings = settings or load_settings()
    config = MonitorConfig.of(config).completed(settings)
    say = on_progress or _silent
    registry = open_registry(settings)
    champion = registry.alias(CHAMPION)
    if champion is None:
        return None
    say("bringing in the data there are now")
    data, current = _data(config.data, settings)
    model = load(registry, champion, settings)
    change = Change.between(_known(model), current)
    say(f"{int(change.added.sum())} ratings came and {int(change.removed.sum())} went")
    came = drift.added_drift(change, config.limits, seed=settings.seed)
    went = drift.removed_drift(change, config.limits, seed=settings.seed)
    previous = registry.alias(PREVIOUS)
    before = None if previous is None else load(registry, previous, settings)
    say("comparing lists, feedback and ages")
    lists = monitoring_metrics.of_lists(model, before, seed=settings.seed)
    lived = monitoring_metrics.live_quality(settings)
    ages = monitoring_metrics.ages(registry, champion, current.ratings, settings)
    service, notes = monitoring_metrics.of_service(settings)

    reasons = [
        *alarm_policy.drift_reasons(came, went),
        *alarm_policy.quality_reasons(lived, config.quality or 0.0),
        *alarm_policy.age_reasons(
            ages["since_retraining_days"],
            config.age_days or 0.0,
            data_changed=data.hash != model.card.data.hash,
        ),
    ]
    figures = monitoring_metrics.finite(
        monitoring_metrics.of_change(change)
        | monitoring_metrics.of_drift(came, "drift")
        | monitoring_metrics.of_drift(went, "deleted_drift")
        | lists
        | monitoring_metrics.of_live(lived)
        | ages
        | service
    )
    notes = [*monitoring_metrics.notes(change, came, lived, before is not None), *notes]
    asks, why = alarm_policy.should_retrain(
        reasons, _last_trigger(registry), data_hash=data.hash, champion=champion.number
    )
    if asks and not config.act:
        asks, why = False, "acting was switched off for this look"
    said: dict[str, Any] = {
        "at": int(time.time()),
        "run_id": "",
        "alarm": bool(reasons),
        "reasons": [one.text[:_LONGEST_REASON] for one in reasons[:_MOST_REASONS]],
        "figures": figures,
        "data": {"name": data.name, "hash": data.hash},
        "champion": {"name": champion.name, "version": champion.number},
    }
    said["run_id"] = _log(said, config, data, model, change, came, notes, why, key, settings)
    registry.set_model_tag(MONITORING, orjson.dumps(said).decode())
    return {
        **said,
        "notes": notes,
        "trigger": asks,
        "why": why,
        "retraining": {
            "reason": "monitoring: " + "; ".join(said["reasons"]),
            **({} if config.data is None else {"data": config.data}),
        },
        "excess": alarm_policy.excess(reasons),
        "trigger_key": f"monitoring-{data.hash.removesuffix('.dir')}",
    }


def record_trigger(looked: Mapping[str, Any], *, settings: Settings | None = None) -> None:
    """Remember that this alarm triggered a retraining, so that it triggers only one.

    ``looked``: what :func:`run_check` returned.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    trigger = alarm_policy.record(
        looked["excess"],
        _last_trigger(registry),
        at=looked["at"],
        data_hash=looked["data"]["hash"],
        champion=looked["champion"]["version"],
    )
    registry.set_model_tag(MONITORING_TRIGGER, trigger.model_dump_json())


def load(registry: Registry, version: Version, settings: Settings) -> Bundle:
    """The version's bundle, kept where the service and the commands keep theirs."""
    folder = settings.path("bundles", f"{version.number}-{version.run_id}")
    return bundle.load(registry.download_bundle(version, folder))


def _data(data: str | None, settings: Settings) -> tuple[DataFacts, Snapshot]:
    """What an ingest would bring in now."""
    pulled = ingest.pull(data, settings=settings)
    found = read_movielens(
        Path(pulled["folder"]),
        bad_rows_share=settings.bad_rows_share,
        name=pulled["name"],
        synthetic=pulled["synthetic"],
    )
    index, ratings, catalogue = to_arrays(found)
    facts = DataFacts(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=len(ratings),
        users=int(index.users.size),
        movies=len(catalogue),
    )
    return facts, Snapshot(index, ratings, catalogue)


def _known(model: Bundle) -> Snapshot:
    return Snapshot(model.index, model.histories.ratings(), model.catalogue)


def _last_trigger(registry: Registry) -> Trigger | None:
    """A tag is free text that a person can edit: what is no trigger counts as none."""
    try:
        return Trigger.model_validate_json(registry.model_tags().get(MONITORING_TRIGGER, ""))
    except ValidationError:
        return None


def _log(
    said: Mapping[str, Any],
    config: MonitorConfig,
    data: DataFacts,
    model: Bundle,
    change: Change,
    came: Drift,
    notes: list[str],
    why: str,
    key: str | None,
    settings: Settings,
) -> str:
    """One MLflow run with figures, versions, hashes, page and pictures; its id."""
    tracking = Tracking(
        open_registry(settings), settings.mlflow_tracking_uri, f"{settings.experiment}-monitoring"
    )
    key = re.sub(r"[^A-Za-z0-9_-]+", "-", key or f"{data.hash[:12]}-{said['at']}")
    run_id = tracking.start(f"monitoring {key}", retraining=key, part=PART)
    tracking.log(
        run_id,
        params={
            **config.model_dump(mode="json"),
            "champion": said["champion"]["name"],
            "champion_version": said["champion"]["version"],
            "champion_data_name": model.card.data.name,
            "champion_data_hash": model.card.data.hash,
            "data_name": data.name,
            "data_hash": data.hash,
        },
        metrics={**said["figures"], "alarm": float(said["alarm"])},
        tags={"alarm": str(said["alarm"]).lower(), "reasons": "\n".join(said["reasons"])[:4900]},
    )
    tracking.log_data(run_id, data, "monitoring")
    with tempfile.TemporaryDirectory() as folder:
        written = page.write(
            Path(folder),
            said=said,
            data=data,
            trained_on=model.card.data,
            change=change,
            came=came,
            notes=notes,
            why=why,
        )
        tracking.log_folder(run_id, written.parent, ARTEFACTS)
    tracking.finish(run_id)
    return run_id


def _silent(_text: str) -> None:
    """No progress."""
