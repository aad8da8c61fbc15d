"""Query parameters that a route does not have are refused."""

from __future__ import annotations

import pytest

from tests.service.api.client import ApiClient, error_of

READ_ROUTES = (
    "/popular",
    "/movies",
    "/movies/1",
    "/movies/1/similar",
    "/filters",
    "/overview",
    "/models",
    "/models/champion",
    "/livez",
    "/readyz",
)


@pytest.mark.parametrize("path", READ_ROUTES)
def test_unknown_query_parameter_is_refused_by_name(api: ApiClient, path: str) -> None:
    assert "unknown query parameter 'genre'" in error_of(
        api.client.get(path, params={"genre": "Horror"}), 422
    )


def test_refusal_names_the_parameters_of_the_route(api: ApiClient) -> None:
    detail = error_of(api.client.get("/popular", params={"genre": "Horror"}), 422)
    assert detail.endswith("this route has cursor, days, genres, top_k, year_from, year_to")
    assert error_of(api.client.get("/models?x=1"), 422).endswith("this route has none")


def test_writing_routes_refuse_unknown_parameters(api: ApiClient) -> None:
    for answer in (
        api.client.post("/predict?k=5", json=[1]),
        api.client.post("/recommend?top_k=5", json={"user_id": 1}),
        api.client.post("/ratings?user=1", json={"user_id": 1, "ratings": []}),
        api.client.delete("/ratings?user_id=1&movie=2"),
        api.client.post("/train?split=0.2", json={}),
    ):
        assert "unknown query parameter" in error_of(answer, 422)


def test_parameter_with_one_value_is_refused_twice(api: ApiClient) -> None:
    detail = error_of(api.client.get("/popular?top_k=1&top_k=2"), 422)
    assert detail == "query parameter top_k is given 2 times; give it once"
    assert api.client.get("/popular?genres=Drama&genres=Comedy").status_code == 200


def test_web_page_keeps_its_own_query_string(api: ApiClient) -> None:
    assert api.client.get("/?genres=Western&to=1995").status_code == 200
