"""The overview for operators: models, data, the last retraining and the last monitoring run.

It is built from what the last successful read of MLflow returned, so it also works without MLflow.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, JsonValue, ValidationError

from moovier.models.bundle import DataFacts
from moovier.registry.version import CHALLENGER, CHAMPION, MONITORING, PREVIOUS, Version
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.health import describe_rejection
from moovier.serving.model_resolution import resolve_model
from moovier.serving.model_store import ModelStore
from moovier.settings import Settings

#: Most models in the overview; further ones are counted.
_MAX_MODELS = 200


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ModelFacts(BaseModel):
    """A registered version.

    ``gate`` is promoted, kept, manual, rollback, rolled back or stars; None for a version that the
    gate has not evaluated. ``comparable`` says whether it was evaluated on the champion's hold-out.
    """

    version: int
    name: str
    family: str
    aliases: list[str]
    metrics: dict[str, float]
    parent: str | None
    created_at: datetime | None
    data_name: str | None
    data_hash: str | None
    synthetic: bool | None
    gate: str | None
    gate_reasons: str | None
    comparable: bool
    loaded: bool
    run_url: str | None
    unreadable: str | None = Field(
        description="What is wrong with the version's tags in MLflow; None if all can be read."
    )
    usable: bool = Field(description="Whether the version has a model that can answer.")


class Beside(BaseModel):
    """One metric of the champion and of its rival."""

    champion: float
    rival: float


class Comparison(BaseModel):
    """The metrics that two versions both have, by name; ``role`` is the rival's alias."""

    champion: int
    rival: int
    role: str
    comparable: bool = Field(description="Whether both were evaluated on the same hold-out.")
    figures: dict[str, Beside]


class Retraining(BaseModel):
    """The last retraining.

    ``at`` is the time at which its last model was registered. ``promoted`` says whether the gate
    promoted one of its models.
    """

    key: str
    at: datetime
    models: list[str]
    promoted: bool


class Monitoring(BaseModel):
    """The result of the last monitoring run."""

    at: AwareDatetime | None = None
    run_id: str | None = None
    run_url: str | None = None
    alarm: bool = False
    reasons: Annotated[list[str], BeforeValidator(_as_list)] = []
    figures: dict[str, JsonValue] = {}


class Links(BaseModel):
    """Addresses of the user interfaces."""

    mlflow: str
    airflow: str
    api: str


class Overview(BaseModel):
    """The state of models, data, retraining and monitoring.

    ``serving`` is the model that answers now; None before the first. ``trouble`` says why the last
    read of the registry failed, ``refused`` why the registry's champion does not answer.
    """

    serving: str | None
    serving_version: int | None
    trouble: str | None
    refused: str | None
    data: DataFacts | None
    models: list[ModelFacts]
    models_left_out: int
    comparison: Comparison | None
    retraining: Retraining | None
    monitoring: Monitoring | None
    links: Links


class Filters(BaseModel):
    """The values of the filters; the years are None if no movie's year is known.

    ``tmdb``: whether lists can be filtered by what TMDB knows: providers, runtime and language.
    """

    genres: list[str]
    year_from: int | None
    year_to: int | None
    tmdb: bool


def build_overview(model_store: ModelStore, settings: Settings) -> Overview:
    """Return the overview from the last successful read of the registry."""
    versions = model_store.versions()
    listed = [*versions, *model_store.listing.unusable]
    listed.sort(key=lambda version: version.number, reverse=True)
    serving, rejected = model_store.loaded(None), model_store.champion_rejected
    links = Links(
        mlflow=(settings.mlflow_public_url or model_store.registry_address).rstrip("/"),
        airflow=(settings.airflow_public_url or f"http://127.0.0.1:{settings.airflow_port}").rstrip(
            "/"
        ),
        api="/docs",
    )
    champion = _with_alias(versions, CHAMPION)
    models = [
        _facts(version, champion, model_store, links.mlflow) for version in listed[:_MAX_MODELS]
    ]
    if not models and serving is not None:
        models = [_facts_on_disk(serving)]
    return Overview(
        serving=None if serving is None else serving.name,
        serving_version=None if serving is None else serving.number,
        trouble=model_store.registry_error,
        refused=(
            model_store.listing.problem(CHAMPION)
            if rejected is None
            else describe_rejection(rejected)
        ),
        data=None if serving is None else serving.recommender.bundle.card.data,
        models=models,
        models_left_out=max(len(listed) - _MAX_MODELS, 0),
        comparison=compare_models(versions),
        retraining=last_retraining(versions),
        monitoring=parse_monitoring(model_store.model_tags.get(MONITORING), links.mlflow),
        links=links,
    )


def compare_models(versions: list[Version]) -> Comparison | None:
    """Compare the champion with its challenger, else with the previous champion."""
    champion = _with_alias(versions, CHAMPION)
    if champion is None:
        return None
    for role in (CHALLENGER, PREVIOUS):
        rival = _with_alias(versions, role)
        if rival is not None and rival.number != champion.number:
            champion_metrics, rival_metrics = _finite(champion.metrics), _finite(rival.metrics)
            return Comparison(
                champion=champion.number,
                rival=rival.number,
                role=role,
                comparable=_comparable(champion, rival),
                figures={
                    name: Beside(champion=value, rival=rival_metrics[name])
                    for name, value in champion_metrics.items()
                    if name in rival_metrics
                },
            )
    return None


def last_retraining(versions: list[Version]) -> Retraining | None:
    """Return the retraining that registered the newest candidate; None without candidates."""
    newest = next((version for version in versions if version.tags.get("candidate")), None)
    if newest is None:
        return None
    key = newest.tags.get("retraining", "")
    members = [version for version in versions if version.tags.get("retraining", "") == key]
    return Retraining(
        key=key,
        at=max(version.created_at for version in members),
        models=[version.name for version in members],
        promoted=any(version.tags.get("gate") == "promoted" for version in members),
    )


def parse_monitoring(text: str | None, mlflow: str) -> Monitoring | None:
    """Return the monitoring result in a tag's ``text``; None if it is missing or invalid."""
    if not text:
        return None
    try:
        monitoring = Monitoring.model_validate(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError):
        return None
    if monitoring.run_id:
        monitoring.run_url = _run_url(mlflow, monitoring.run_id)
    return monitoring


def _with_alias(versions: list[Version], alias: str) -> Version | None:
    return next((version for version in versions if alias in version.aliases), None)


def _comparable(version: Version, other: Version) -> bool:
    hold_out = version.tags.get("hold_out")
    return hold_out is not None and hold_out == other.tags.get("hold_out")


def _facts(
    version: Version, champion: Version | None, model_store: ModelStore, mlflow: str
) -> ModelFacts:
    tags = version.tags
    return ModelFacts(
        version=version.number,
        name=version.name,
        family=version.family,
        aliases=list(version.aliases),
        metrics=_finite(version.metrics),
        parent=version.parent,
        created_at=version.created_at,
        data_name=tags.get("data_name"),
        data_hash=tags.get("data_hash"),
        synthetic=tags["synthetic"] == "true" if "synthetic" in tags else None,
        gate=tags.get("gate"),
        gate_reasons=version.gate_reasons,
        comparable=champion is not None and _comparable(version, champion),
        loaded=model_store.loaded(str(version.number)) is not None,
        run_url=_run_url(mlflow, version.run_id) if version.run_id else None,
        unreadable=version.unreadable,
        usable=version.complete,
    )


def _facts_on_disk(serving: LoadedModel) -> ModelFacts:
    """Return the facts of the model from the disk, for a service that never reached MLflow."""
    card = serving.recommender.bundle.card
    return ModelFacts(
        version=serving.number,
        name=serving.name,
        family=card.family,
        aliases=[],
        metrics=_finite(card.metrics),
        parent=card.parent,
        created_at=card.created_at,
        data_name=card.data.name,
        data_hash=card.data.hash,
        synthetic=card.data.synthetic,
        gate=None,
        gate_reasons=None,
        comparable=False,
        loaded=True,
        run_url=None,
        unreadable=None,
        usable=True,
    )


def _finite(metrics: Any) -> dict[str, float]:
    # JSON has no NaN.
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _run_url(mlflow: str, run_id: str) -> str:
    return f"{mlflow}/#/runs/{run_id}"


async def filters_of(context: ServingContext) -> Filters:
    """Return the genres and years that lists can be filtered by.

    Raises:
        RegistryError: there is no model yet.
    """
    model = await resolve_model(context.model_store)
    index = model.recommender.user_recommender.filter_index
    first, last = index.span or (None, None)
    has_tmdb = context.details.tmdb is not None
    return Filters(genres=list(index.genres), year_from=first, year_to=last, tmdb=has_tmdb)


def describe_model(version: Version, settings: Settings, *, loaded: bool) -> dict[str, Any]:
    """Return one registered version for ``/models/{name}``."""
    return {
        "name": version.name,
        "version": version.number,
        "family": version.family,
        "aliases": list(version.aliases),
        "metrics": _finite(version.metrics),
        "parent": version.parent,
        "data_name": version.tags.get("data_name"),
        "data_hash": version.tags.get("data_hash"),
        "created_at": version.created_at,
        "run_id": version.run_id,
        "run_url": _run_url(settings.mlflow_tracking_uri.rstrip("/"), version.run_id),
        "loaded": loaded,
        "unreadable": version.unreadable,
    }
