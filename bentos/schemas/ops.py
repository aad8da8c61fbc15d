"""Schemas of the health probes and of single models."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from moovier.serving import health


class ModelShown(BaseModel):
    """One version of the registered model."""

    name: str
    version: int
    family: str
    aliases: list[str]
    metrics: dict[str, float]
    parent: str | None
    data_name: str | None
    data_hash: str | None
    created_at: datetime
    run_id: str
    run_url: str
    loaded: bool
    unreadable: str | None = Field(
        description="What is wrong with the version's tags in MLflow; null if all can be read."
    )


class Liveness(BaseModel):
    """The process answers."""

    alive: bool


class ChampionShown(BaseModel):
    """Name and version number of the champion."""

    name: str
    version: int


class Health(BaseModel):
    """Whether a model can answer, and a sentence for each problem, also while it can."""

    ready: bool
    champion: ChampionShown | None = Field(
        description="The champion that answers; null without one."
    )
    degraded: list[str]

    @classmethod
    def of(cls, found: health.Health) -> Health:
        """Return the response for the service's health."""
        champion = found.champion
        return cls(
            ready=found.ready,
            champion=champion and ChampionShown(name=champion.name, version=champion.number),
            degraded=found.degraded,
        )
