"""Answers ``/recommend``: a page of movies for one user or visitor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.context import ServingContext
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_resolution import assign_model
from moovier.serving.page_builder import ModelPage, build_page
from moovier.serving.page_cache import MAX_KEY_BYTES
from moovier.serving.rendering import render_page
from moovier.serving.requests import RecommendRequest
from moovier.serving.tmdb_choice import with_choice

#: Pages that may wait to be computed before the fast path gives up.
_MAX_WAITING = 64


@dataclass(frozen=True, slots=True)
class PageAnswer:
    """A page as JSON, and the model that made it."""

    body: bytes
    model: LoadedModel


async def recommend(
    context: ServingContext, request: RecommendRequest, *, key: bytes, request_id: str
) -> PageAnswer:
    """Return a page of recommendations; load the model if necessary.

    ``key`` is the request's body: an identical one gets the page from the cache.

    Raises:
        BadRequest: the filter or the cursor is invalid.
        UnknownModel: no model has this name.
        RegistryError: the model is not in memory and the registry cannot deliver it now.
        BundleError: the model's bundle cannot be used.
    """
    started = time.perf_counter()
    assignment = await assign_model(context.model_store, request.model_name, request.users)
    page = await _build(context, assignment, request, key)
    return await _finish(context, assignment, request, page, request_id, started)


async def recommend_fast(
    context: ServingContext,
    key: bytes,
    parse: Callable[[bytes], RecommendRequest | None],
    *,
    request_id: str,
) -> PageAnswer | None:
    """Return a page from the cache, or compute it if the model is in memory; else None.

    ``parse`` turns ``key``, the request's body, into a request, or None if it is invalid.

    Raises:
        BadRequest: the filter or the cursor is invalid.
    """
    started = time.perf_counter()
    cached = context.page_cache.find(key, context.model_store, context.feedback)
    if cached is not None:
        page, request, assignment = cached
        personal = page.is_personal
        context.events.lists_answered(page.model.name, int(personal), int(not personal))
        return await _finish(context, assignment, request, page, request_id, started)
    if len(key) > MAX_KEY_BYTES or context.page_scheduler.waiting >= _MAX_WAITING:
        return None
    parsed = parse(key)
    if parsed is None or parsed.tmdb_filter is not None:
        return None
    found = context.model_store.assignment(parsed.model_name, parsed.users)
    if found is None:
        return None
    page = await _build(context, found, parsed, key)
    return await _finish(context, found, parsed, page, request_id, started)


async def _build(
    context: ServingContext, assignment: Assignment, request: RecommendRequest, key: bytes
) -> ModelPage:
    """Compute a page and store it in the cache."""
    if request.tmdb_filter is not None:
        request = await with_choice(context, assignment.model, request)
    # Read before the page is computed, so that a change meanwhile invalidates the page.
    rating_model = context.model_store.stars
    revision = (0, 0) if request.user_id is None else context.feedback.revision(request.user_id)
    page = await context.page_scheduler.run(
        build_page, assignment.model, rating_model, request, context.feedback, context.events
    )
    # TMDB's answers change while the request stays the same.
    if request.filter.tmdb_ids is None:
        context.page_cache.store(key, request, page, rating_model, revision)
    return page


async def _finish(
    context: ServingContext,
    assignment: Assignment,
    request: RecommendRequest,
    page: ModelPage,
    request_id: str,
    started: float,
) -> PageAnswer:
    """Render and record a page."""
    body = await render_page(page, context.details, request_id)
    context.list_recording.record(request_id, assignment, request, page.page, started)
    return PageAnswer(body, page.model)
