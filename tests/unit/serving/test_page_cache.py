"""A cached page answers only while its model, the rating model and the feedback are the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from moovier.feedback.ratings import NewRating
from moovier.serving import page_cache
from moovier.serving.page_builder import build_page
from moovier.serving.page_cache import MAX_KEY_BYTES, CachedPage, PageCache
from moovier.serving.requests import RecommendRequest
from tests.unit.serving.toy_context import OTHER, Toy, champion, rating_model
from tests.unit.serving.toy_users import MOVIES, USERS

KEY = b'{"user_id": 100}'


def stored(toy: Toy, key: bytes = KEY, **fields: Any) -> PageCache:
    """Return a cache with one page."""
    request, cache = RecommendRequest(**fields), PageCache()
    page = build_page(champion(), None, request, toy.feedback, toy.reports.events)
    revision = (0, 0) if request.user_id is None else toy.feedback.revision(request.user_id)
    cache.store(key, request, page, toy.models.stars, revision)
    return cache


def find(cache: PageCache, toy: Toy, key: bytes = KEY) -> CachedPage | None:
    return cache.find(key, toy.context.model_store, toy.feedback)


def test_the_same_request_gets_the_same_page(toy: Toy) -> None:
    cache = stored(toy, user_id=USERS[0])
    found, again = find(cache, toy), find(cache, toy)
    assert found is not None
    assert again is not None
    assert found.page is again.page
    assert found.request == RecommendRequest(user_id=USERS[0])
    assert found.assignment.model is champion()
    assert find(cache, toy, b"other") is None


def test_another_champion_or_rating_model_makes_the_page_invalid(toy: Toy) -> None:
    for change in ("champion", "stars"):
        cache = stored(toy, user_id=USERS[0])
        before = getattr(toy.models, change)
        setattr(toy.models, change, replace(before, number=9))
        assert find(cache, toy) is None, change
        setattr(toy.models, change, before)
        assert find(cache, toy) is None, "an invalid page is deleted"


def test_a_page_of_a_model_that_is_no_longer_loaded_is_invalid(toy: Toy) -> None:
    assert find(stored(toy, model_name=OTHER), toy) is None


def test_feedback_makes_a_users_page_invalid_and_no_other(toy: Toy) -> None:
    of_user, of_other, of_visitor = (
        stored(toy, user_id=USERS[1]),
        stored(toy, user_id=USERS[2]),
        stored(toy, ratings=((MOVIES[0], 5.0, 1),)),
    )
    toy.feedback.add(
        USERS[1], [NewRating(MOVIES[5], 2.0, 1)], request_id=None, idempotency_key=None
    )
    assert find(of_user, toy) is None
    assert find(of_other, toy) is not None
    assert find(of_visitor, toy) is not None


def test_long_requests_are_not_cached(toy: Toy) -> None:
    longest, longer = b"x" * MAX_KEY_BYTES, b"x" * (MAX_KEY_BYTES + 1)
    assert find(stored(toy, longest), toy, longest) is not None
    assert find(stored(toy, longer), toy, longer) is None


def test_the_least_recently_used_page_is_dropped(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "MAX_PAGES", 2)
    cache = PageCache()
    page = build_page(
        champion(), rating_model(), RecommendRequest(), toy.feedback, toy.reports.events
    )
    for key in (b"a", b"b", b"a", b"c"):
        if find(cache, toy, key) is None:
            cache.store(key, RecommendRequest(), page, rating_model(), (0, 0))
    assert [find(cache, toy, key) is not None for key in (b"a", b"b", b"c")] == [True, False, True]
