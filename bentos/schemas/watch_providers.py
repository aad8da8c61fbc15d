"""Schemas of where a movie can be watched."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field

from bentos.schemas.fields import Region, ShownId

RegionQuery = Annotated[Region, Query(description="Country, ISO 3166-1.", examples=["US"])]


class Provider(BaseModel):
    """A service that shows movies, with its id and the path of its logo at TMDB."""

    id: int
    name: str
    logo_path: str | None


class MovieProviders(BaseModel):
    """Where a movie can be watched in a country, by kind of offer, in TMDB's order."""

    movie_id: ShownId
    region: str
    known: bool = Field(
        description="False where there is no TMDB key, or TMDB does not answer or lacks the movie."
    )
    link: str | None = Field(description="TMDB's page with the offers.")
    stream: list[Provider] = Field(description="Part of a subscription.")
    free: list[Provider]
    ads: list[Provider] = Field(description="Free, with advertisements.")
    rent: list[Provider]
    buy: list[Provider]
    attribution: str = Field(description="Has to be shown with the providers.")


class RegionProviders(BaseModel):
    """The services that show movies in a country, in TMDB's order."""

    region: str
    known: bool = Field(description="False where there is no TMDB key, or TMDB does not answer.")
    providers: list[Provider] = Field(description="`/recommend` filters by their ids.")
    attribution: str = Field(description="Has to be shown with the providers.")
