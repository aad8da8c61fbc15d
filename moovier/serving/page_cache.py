"""A cache of computed pages, keyed by the bytes of the request that asked for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cachetools import LRUCache

from moovier.feedback.cache import FeedbackCache
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_store import ModelStore
from moovier.serving.page_builder import ModelPage
from moovier.serving.requests import RecommendRequest

#: Number of pages in the cache, the most recently used ones.
MAX_PAGES = 2_000
#: Longest request in bytes that is cached.
MAX_KEY_BYTES = 16_384


class CachedPage(NamedTuple):
    """A page that is still valid, its request, and the model assigned to the request."""

    page: ModelPage
    request: RecommendRequest
    assignment: Assignment


@dataclass(frozen=True, slots=True)
class _Entry:
    page: ModelPage
    rating_model: LoadedModel | None
    request: RecommendRequest
    revision: tuple[int, int]


class PageCache:
    """Pages by request, of one event loop.

    A page stays valid until its model, the rating model or the user's feedback changes.
    """

    def __init__(self) -> None:
        self._entries: LRUCache[bytes, _Entry] = LRUCache(MAX_PAGES)

    def store(
        self,
        key: bytes,
        request: RecommendRequest,
        page: ModelPage,
        rating_model: LoadedModel | None,
        revision: tuple[int, int],
    ) -> None:
        """Store a page under its request's bytes, unless these are too long.

        ``revision`` is that of the user's feedback before the page was computed.
        """
        if len(key) <= MAX_KEY_BYTES:
            self._entries[key] = _Entry(page, rating_model, request, revision)

    def find(
        self, key: bytes, model_store: ModelStore, feedback: FeedbackCache
    ) -> CachedPage | None:
        """Return the page of a request if it is stored and still valid."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        users = entry.request.users
        assignment = model_store.assignment(entry.request.model_name, users)
        if (
            assignment is None
            or entry.page.model is not assignment.model
            or entry.rating_model is not model_store.stars
            or (users and entry.revision != feedback.revision(users[0]))
        ):
            del self._entries[key]
            return None
        return CachedPage(entry.page, entry.request, assignment)
