"""Pages from the cache or computed, by the slow path and by the fast path."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moovier.errors import BadRequest
from moovier.feedback.ratings import NewRating
from moovier.serving import recommend as module
from moovier.serving.page_cache import MAX_KEY_BYTES
from moovier.serving.recommend import PageAnswer, recommend, recommend_fast
from moovier.serving.requests import RecommendRequest
from moovier.serving.tmdb_filter import TmdbFilter
from tests.unit.serving.toy_context import CHAMPION, OTHER, RATING_MODEL, Toy, champion
from tests.unit.serving.toy_users import MOVIES, USERS

ID = "f" * 32


def slow(toy: Toy, key: bytes = b"key", **fields: Any) -> PageAnswer:
    request = RecommendRequest(**fields)
    return toy.run(recommend(toy.context, request, key=key, request_id=ID))


def fast(toy: Toy, key: bytes = b"key", **fields: Any) -> PageAnswer | None:
    def parse(body: bytes) -> RecommendRequest | None:
        assert body == key
        return RecommendRequest(**fields) if fields else None

    return toy.run(recommend_fast(toy.context, key, parse, request_id=ID))


def ids(answer: PageAnswer) -> list[int]:
    return [item["movie_id"] for item in json.loads(answer.body)["items"]]


def test_a_page_is_rendered_recorded_and_cached(toy: Toy) -> None:
    answer = slow(toy, user_id=USERS[0], top_k=3)
    content = json.loads(answer.body)
    assert (content["request_id"], content["model"]) == (ID, CHAMPION)
    assert answer.model is champion()
    assert toy.recorded.lists == [(ID, "champion", ids(answer))]
    # Without a parse: the fast path finds it in the cache.
    cached = fast(toy)
    assert cached is not None
    assert cached.body == answer.body
    assert toy.recorded.lists == [(ID, "champion", ids(answer))] * 2
    assert toy.reports.answered == [(CHAMPION, 1, 0)] * 2


def test_a_cached_page_of_a_stranger_is_reported_as_popular(toy: Toy) -> None:
    slow(toy, user_id=999_998)
    fast(toy)
    assert toy.reports.answered == [(CHAMPION, 0, 1)] * 2


def test_the_fast_path_computes_what_the_slow_path_computes(toy: Toy) -> None:
    answer = fast(toy, user_id=USERS[2], top_k=4)
    assert answer is not None
    assert ids(answer) == ids(slow(toy, b"other", user_id=USERS[2], top_k=4))


def test_feedback_invalidates_the_cached_page(toy: Toy) -> None:
    before = ids(slow(toy, user_id=USERS[3], top_k=3))
    toy.feedback.add(
        USERS[3], [NewRating(before[0], 0.5, 9)], request_id=None, idempotency_key=None
    )
    assert fast(toy) is None, "no valid page, and nothing to parse"
    answer = fast(toy, user_id=USERS[3], top_k=3)
    assert answer is not None
    assert before[0] not in ids(answer)


@pytest.mark.parametrize(
    ("key", "fields"),
    [
        (b"key", {}),
        (b"x" * (MAX_KEY_BYTES + 1), {"user_id": 100}),
        (b"key", {"model_name": OTHER}),
        (b"key", {"tmdb_filter": TmdbFilter(language="fr")}),
    ],
    ids=["invalid", "too long", "not in memory", "filter of TMDB"],
)
def test_the_fast_path_leaves_other_requests_to_the_slow_one(
    toy: Toy, key: bytes, fields: dict[str, Any]
) -> None:
    assert fast(toy, key, **fields) is None
    assert toy.reports.answered == []


def test_the_fast_path_gives_up_where_many_pages_wait(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_WAITING", 0)
    assert fast(toy, user_id=USERS[0]) is None


def test_another_model_is_loaded_by_the_slow_path(toy: Toy) -> None:
    answer = slow(toy, model_name=OTHER, ratings=((MOVIES[0], 5.0, None),))
    assert answer.model.name == RATING_MODEL
    assert toy.recorded.lists[0][1] == "other"


@pytest.mark.parametrize("path", [slow, fast])
def test_an_invalid_cursor_is_refused(toy: Toy, path: Any) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        path(toy, cursor="nonsense")
    assert toy.recorded.lists == []
