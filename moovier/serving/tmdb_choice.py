"""Narrows a list to the movies that pass a filter by what only TMDB knows.

TMDB has no list of all movies at a provider that would name the data set's movies, so a filter
narrows the best ``CONSIDERED`` movies of a list. TMDB is asked about the best ``LOOKED_UP`` of
them, within the time that a request may wait for TMDB; of the others the cache decides. A movie of
which neither has an answer is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from moovier.data.ratings import Ints
from moovier.errors import BadRequest
from moovier.feedback.cache import FeedbackCache
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.page_builder import decode_cursor, score_page
from moovier.serving.requests import RecommendRequest
from moovier.serving.tmdb_filter import TmdbFilter
from moovier.serving.variety import NO_VARIETY
from moovier.tmdb.client import TmdbClient

#: Best movies by score that a filter narrows, and those of them that TMDB is asked about.
CONSIDERED, LOOKED_UP = 300, 100


async def with_choice(
    context: ServingContext, model: LoadedModel, request: RecommendRequest
) -> RecommendRequest:
    """Return the request with the movies that pass its TMDB filter as a part of its filter.

    Raises:
        BadRequest: there is no TMDB key, or another part of the filter is invalid.
    """
    tmdb_filter, tmdb = request.tmdb_filter, context.details.tmdb
    if tmdb_filter is None:
        return request
    if tmdb is None:
        raise BadRequest(
            "providers, runtimes and languages come from TMDB, and this service has no TMDB key; "
            "set TMDB_API_KEY, or leave these filters out"
        )
    shown = decode_cursor(request.cursor)
    unfiltered = replace(request, tmdb_filter=None, top_k=CONSIDERED, variety=NO_VARIETY)
    best = await context.page_scheduler.run(_best, model, unfiltered, context.feedback, shown)
    chosen = await _passing(tmdb, tmdb_filter, best)
    narrowed = replace(request.filter, tmdb_ids=frozenset(chosen))
    return replace(request, filter=narrowed, tmdb_filter=None)


def _best(
    model: LoadedModel, request: RecommendRequest, feedback: FeedbackCache, shown: Ints
) -> list[int]:
    """Return the TMDB ids of the best movies, best first."""
    _, page = score_page(model, request, feedback, shown, reasons=False)
    return [item.movie.tmdb_id for item in page.items if item.movie.tmdb_id is not None]


async def _passing(tmdb: TmdbClient, tmdb_filter: TmdbFilter, ids: Sequence[int]) -> list[int]:
    """Return the ids of the movies that pass, as far as TMDB or the cache knows them."""
    details: dict[int, bytes] = {}
    offers: dict[int, bytes] = {}
    asked, others = ids[:LOOKED_UP], ids[LOOKED_UP:]
    if tmdb_filter.needs_details:
        details = await tmdb.details(asked) | tmdb.cached_details(others)
    if tmdb_filter.providers:
        offers = await tmdb.providers(asked) | tmdb.cached_providers(others)
    return [
        id_
        for id_ in ids
        if tmdb_filter.passes(_object(details.get(id_)), _object(offers.get(id_)))
    ]


def _object(content: bytes | None) -> dict[str, Any] | None:
    return None if content is None else orjson.loads(content)
