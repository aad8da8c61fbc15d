"""Requests say which users they are about."""

from __future__ import annotations

from moovier.serving.filters import Filter
from moovier.serving.requests import NO_FILTER, RecommendRequest


def test_a_page_is_for_one_user_or_for_nobody() -> None:
    assert RecommendRequest(user_id=7).users == (7,)
    assert RecommendRequest(user_id=0).users == (0,)
    assert RecommendRequest(ratings=((1, 5.0, None),)).users == ()


def test_equal_requests_are_equal_and_usable_as_keys() -> None:
    first, second = RecommendRequest(user_id=7), RecommendRequest(user_id=7, filter=Filter())
    assert first == second
    assert len({first, second, RecommendRequest(user_id=8)}) == 2
    assert NO_FILTER.is_empty
