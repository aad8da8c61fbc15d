"""The check of plain requests: the request that pydantic makes of a valid body, else None."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from bentos.schemas.plain_recommend import parse_plain
from bentos.schemas.recommend import RecommendRequest

VALID: list[dict[str, Any]] = [
    {"ratings": {"1": 5, "260": 4.5, "999999999999999999": 0.5}},
    {"ratings": {"1": 5.0}, "genres": ["Comedy", "x" * 100], "exclude": [3, 2], "top_k": 100},
    {"ratings": {}, "genres": [], "exclude": []},
]
OTHER: list[Any] = [
    [],
    {},
    {"ratings": [{"movie_id": 1, "stars": 5}]},
    {"ratings": {"1": 5}, "user_id": 1},
    {"ratings": {"1": 5}, "year_from": 1990},
    {"ratings": {"1": 5}, "unknown": 1},
    *({"ratings": {key: 5}} for key in ("", "0", "01", "-1", "1.0", "١", "1" * 19, "a", " 1")),
    *({"ratings": {"1": stars}} for stars in (0, 5.5, 4.2, True, "5", None, [5], 1e400)),
    *({"ratings": {"1": 5}, "top_k": top_k} for top_k in (0, 101, 1.0, True, "1", None)),
    *({"ratings": {"1": 5}, "genres": genres} for genres in ("a", [""], ["x" * 101], [1], None)),
    *({"ratings": {"1": 5}, "exclude": exclude} for exclude in ([0], [-1], [1.0], [2**63], [True])),
]


@pytest.mark.parametrize("body", VALID)
def test_valid_bodies_give_the_same_request_as_pydantic(body: dict[str, Any]) -> None:
    content = orjson.loads(orjson.dumps(body))
    assert parse_plain(content) == RecommendRequest.model_validate(content).to_request()


@pytest.mark.parametrize("body", OTHER)
def test_other_bodies_are_left_to_pydantic(body: Any) -> None:
    assert parse_plain(body) is None
