"""Schemas of a page of movies, which several routes return."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from bentos.schemas.fields import ShownId


class Reason(BaseModel):
    """A movie that this user rated and liked."""

    movie_id: ShownId
    title: str


class Recommended(BaseModel):
    """A recommended movie.

    ``movie`` holds TMDB's details, or the catalogue's. ``score`` orders the movies of one list.
    ``stars`` is the rating that the user would give, 0.5 to 5.
    """

    movie_id: ShownId = Field(description="MovieLens id.")
    movie: dict[str, Any]
    score: float
    stars: float | None
    stars_by_person: list[float | None] = Field(
        [],
        description="In a list for several people: the stars that each of them would give, in the "
        "order of `people`; `stars` is their mean. Otherwise missing.",
    )
    source: Literal["model", "similar", "popular"]
    because: list[Reason] = Field(
        description="Up to three movies that this user liked, the most important first. A "
        "movie's importance is how much the score falls without that rating."
    )


class Recommendations(BaseModel):
    """A page of movies, best first."""

    request_id: str
    model: str = Field(description="Name of the model that answered.")
    model_version: int
    items: list[Recommended]
    next: str | None = Field(description="Cursor of the next page; null on the last.")
    days: int | None = Field(
        description="Window of popular movies: they are ranked by the ratings of this many days "
        "before the newest rating. Null: by the ratings of all time, or the movies are not "
        "ranked by popularity."
    )
