"""Requests to the service, as the HTTP routes pass them on."""

from __future__ import annotations

from dataclasses import dataclass

from moovier.serving.filters import Filter
from moovier.serving.tmdb_filter import TmdbFilter
from moovier.serving.variety import NO_VARIETY, Variety

NO_FILTER = Filter()
#: A rating that comes with a request: MovieLens movie id, stars from 0.5 to 5, and Unix seconds or
#: None for the present moment.
RequestRating = tuple[int, float, int | None]


@dataclass(frozen=True, slots=True)
class RecommendRequest:
    """A request for a page of recommendations.

    ``user_id`` is a MovieLens user id, known or not. ``ratings`` count on top of the user's own,
    or describe a visitor. With neither, the page holds popular movies. ``exclude`` holds MovieLens
    movie ids, ``cursor`` is ``next`` of the previous page, ``model_name`` is None for the champion,
    ``variety`` re-ranks the page, and ``tmdb_filter`` narrows it by what only TMDB knows.
    """

    user_id: int | None = None
    ratings: tuple[RequestRating, ...] = ()
    top_k: int = 10
    filter: Filter = NO_FILTER
    exclude: tuple[int, ...] = ()
    cursor: str | None = None
    model_name: str | None = None
    variety: Variety = NO_VARIETY
    tmdb_filter: TmdbFilter | None = None

    @property
    def users(self) -> tuple[int, ...]:
        """Return the user ids that the page is for: one, or none for a visitor."""
        return () if self.user_id is None else (self.user_id,)


@dataclass(frozen=True, slots=True)
class PredictRequest:
    """A request for the best ``top_k`` movies of each of ``users`` (MovieLens user ids)."""

    users: tuple[int, ...]
    top_k: int = 10
    model_name: str | None = None
