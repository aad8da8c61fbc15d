"""`/recommend` for several people."""

from __future__ import annotations

from typing import Any

import pytest

from moovier.serving.group import STRATEGIES
from tests.fixtures import TITLED_IDS as IDS
from tests.fixtures import genres_of
from tests.service.api.client import ApiClient, error_of, ids_of

VISITOR = {"ratings": {str(IDS[0]): 5, str(IDS[1]): 4.5}}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_group_gets_movies_that_nobody_rated_with_stars_of_each(
    api: ApiClient, strategy: str
) -> None:
    page = api.recommend(
        people=[{"user_id": 1}, {"user_id": 4}, VISITOR], strategy=strategy, top_k=5
    )
    assert len(page.items) == 5
    seen = api.rated[1] | api.rated[4] | set(IDS[:2])
    assert not seen & set(ids_of(page))
    scores = [item.score for item in page.items]
    assert scores == sorted(scores, reverse=True)
    for item in page.items:
        assert len(item.stars_by_person) == 3
        stars = [value for value in item.stars_by_person if value is not None]
        assert item.stars == round(sum(stars) / len(stars), 2)
        assert item.source == "model"


def test_pages_of_a_group_never_repeat(api: ApiClient) -> None:
    body: dict[str, Any] = {"people": [{"user_id": 1}, VISITOR], "top_k": 4}
    first = api.recommend(**body)
    second = api.recommend(**body, cursor=first.next)
    assert not set(ids_of(first)) & set(ids_of(second))


def test_filter_applies_to_a_group(api: ApiClient) -> None:
    page = api.recommend(people=[{"user_id": 1}, {"user_id": 4}], genres=["Sci-Fi"], top_k=3)
    assert page.items
    assert all("Sci-Fi" in genres_of(movie) for movie in ids_of(page))


def test_stars_of_one_person_are_those_of_that_person_alone(api: ApiClient) -> None:
    group = api.recommend(people=[{"user_id": 1}, {"user_id": 4}], top_k=20)
    alone = {item.movie_id: item.stars for item in api.recommend(user_id=1, top_k=100).items}
    compared = [
        (item.stars_by_person[0], alone[item.movie_id])
        for item in group.items
        if item.movie_id in alone
    ]
    assert compared
    assert all(in_group == pytest.approx(by_self) for in_group, by_self in compared)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"people": [{"user_id": 1}]}, "at least 2"),
        ({"people": [{"user_id": 1}, {}]}, "neither"),
        ({"people": [{"user_id": 1}, VISITOR], "user_id": 2}, "cannot be combined"),
        ({"people": [{"user_id": 1}, VISITOR], "diversity": 0.5}, "cannot be combined"),
        ({"people": [{"user_id": 1}, VISITOR], "strategy": "best"}, "strategy"),
        ({"people": [{"user_id": 1}, {"ratings": {"1": 9}}]}, "people.1.ratings"),
        ({"people": [{"user_id": 1}] * 11}, "at most 10"),
    ],
)
def test_invalid_group_is_refused(api: ApiClient, body: dict[str, Any], reason: str) -> None:
    assert reason in error_of(api.client.post("/recommend", json=body), 422)
