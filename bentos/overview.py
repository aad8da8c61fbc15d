"""How the loop stands, for its engineer: models, data, the last retraining, what watches it.

Off the fast path. What MLflow said last is told also while it is away.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, Field, JsonValue, ValidationError
from starlette.concurrency import run_in_threadpool

from bentos.health import told
from bentos.models import resolve_model
from moovier.models.bundle import DataFacts
from moovier.registry.version import CHALLENGER, CHAMPION, MONITORING, PREVIOUS, Version
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.model_store import ModelStore
from moovier.settings import Settings

router = APIRouter()

_MOST_MODELS = 200


def _lines(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ModelFacts(BaseModel):
    """One version. ``gate``: promoted, kept, manual, rollback, rolled back or stars; None of one
    that was not judged. ``comparable``: measured on the champion's hold-out."""

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


class Beside(BaseModel):
    champion: float
    rival: float


class Comparison(BaseModel):
    """The figures that two versions both have, by name. ``role``: which alias the rival has."""

    champion: int
    rival: int
    role: str
    comparable: bool = Field(description="Whether both were measured on one hold-out.")
    figures: dict[str, Beside]


class Retraining(BaseModel):
    """``at``: when its last model was registered. ``promoted``: whether the gate let one pass."""

    key: str
    at: datetime
    models: list[str]
    promoted: bool


class Monitoring(BaseModel):
    """What the monitoring found at its last run."""

    at: AwareDatetime | None = None
    run_id: str | None = None
    run_url: str | None = None
    alarm: bool = False
    reasons: Annotated[list[str], BeforeValidator(_lines)] = []
    figures: dict[str, JsonValue] = {}


class Links(BaseModel):
    mlflow: str
    airflow: str
    api: str


class Overview(BaseModel):
    """``serving``: the model that answers now; None before there is one. ``trouble``: why the last
    look at the registry failed; ``refused``: why its champion is not served."""

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
    """What a list may be narrowed down by; years are None where no movie's is known."""

    genres: list[str]
    year_from: int | None
    year_to: int | None


@router.get("/overview", summary="Models, data, the last retraining and monitoring, in one answer")
async def overview(request: Request) -> Overview:
    state = request.app.state
    return await run_in_threadpool(build_overview, state.model_store, state.settings)


@router.get("/filters", summary="Genres and years that lists may be narrowed down by")
async def filters(request: Request) -> Filters:
    model = await resolve_model(request.app.state.model_store, None)
    facets = model.recommender.people.facets
    first, last = facets.span or (None, None)
    return Filters(genres=list(facets.genres), year_from=first, year_to=last)


def build_overview(model_store: ModelStore, settings: Settings) -> Overview:
    """All that was known at the last look at the registry."""
    versions = model_store.versions()
    serving = model_store.loaded(None)
    links = Links(
        mlflow=(settings.mlflow_public_url or model_store.registry_address).rstrip("/"),
        airflow=(settings.airflow_public_url or f"http://127.0.0.1:{settings.airflow_port}").rstrip(
            "/"
        ),
        api="/docs",
    )
    champion = _holder(versions, CHAMPION)
    models = [
        _facts(version, champion, model_store, links.mlflow) for version in versions[:_MOST_MODELS]
    ]
    if not models and serving is not None:
        models = [_facts_on_disk(serving)]
    return Overview(
        serving=None if serving is None else serving.name,
        serving_version=None if serving is None else serving.number,
        trouble=model_store.trouble,
        refused=None if model_store.refused is None else told(model_store.refused),
        data=None if serving is None else serving.recommender.bundle.card.data,
        models=models,
        models_left_out=max(len(versions) - _MOST_MODELS, 0),
        comparison=compare_models(versions),
        retraining=last_retraining(versions),
        monitoring=parse_monitoring(model_store.model_tags.get(MONITORING), links.mlflow),
        links=links,
    )


def compare_models(versions: list[Version]) -> Comparison | None:
    """The champion beside its challenger, else beside the champion before it."""
    champion = _holder(versions, CHAMPION)
    if champion is None:
        return None
    for role in (CHALLENGER, PREVIOUS):
        rival = _holder(versions, role)
        if rival is not None and rival.number != champion.number:
            ours, theirs = _finite(champion.metrics), _finite(rival.metrics)
            return Comparison(
                champion=champion.number,
                rival=rival.number,
                role=role,
                comparable=_comparable(champion, rival),
                figures={
                    name: Beside(champion=ours[name], rival=theirs[name])
                    for name in ours
                    if name in theirs
                },
            )
    return None


def last_retraining(versions: list[Version]) -> Retraining | None:
    """The retraining that registered the newest of the versions that any did."""
    newest = next((version for version in versions if version.tags.get("candidate")), None)
    if newest is None:
        return None
    key = newest.tags.get("retraining", "")
    own = [version for version in versions if version.tags.get("retraining", "") == key]
    return Retraining(
        key=key,
        at=max(version.created_at for version in own),
        models=[version.name for version in own],
        promoted=any(version.tags.get("gate") == "promoted" for version in own),
    )


def parse_monitoring(text: str | None, mlflow: str) -> Monitoring | None:
    """What the tag says; None where there is none, or it is not what monitoring writes."""
    if not text:
        return None
    try:
        said = Monitoring.model_validate(orjson.loads(text))
    except (orjson.JSONDecodeError, ValidationError):
        return None
    if said.run_id:
        said.run_url = _run(mlflow, said.run_id)
    return said


def _holder(versions: list[Version], alias: str) -> Version | None:
    return next((version for version in versions if alias in version.aliases), None)


def _comparable(one: Version, other: Version) -> bool:
    hold_out = one.tags.get("hold_out")
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
        gate_reasons=tags.get("gate_reasons"),
        comparable=champion is not None and _comparable(version, champion),
        loaded=model_store.loaded(str(version.number)) is not None,
        run_url=_run(mlflow, version.run_id) if version.run_id else None,
    )


def _facts_on_disk(serving: LoadedModel) -> ModelFacts:
    """Of the model that is served while MLflow was never reached."""
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
    )


def _finite(metrics: Any) -> dict[str, float]:
    """JSON has no NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def _run(mlflow: str, run_id: str) -> str:
    return f"{mlflow}/#/runs/{run_id}"
