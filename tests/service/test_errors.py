"""Error responses that no single route decides, and the API's documentation."""

from __future__ import annotations

import pytest

from bentos.middleware.body_size import MAX_BODY_BYTES
from tests.service.in_process import (
    InProcessClient,
)


@pytest.mark.parametrize("chunked", [False, True])
def test_large_body_gets_413(client: InProcessClient, chunked: bool) -> None:
    body = b"[" + b"1," * MAX_BODY_BYTES + b"1]"
    content = iter([body[:1000], body[1000:]]) if chunked else body
    answer = client.post("/predict", content=content)
    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in answer.json()["detail"]


def test_unknown_paths_and_methods_get_error_responses(client: InProcessClient) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("GET", "/predict", 405)):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json().keys()) == (status, {"detail"})


def test_unexpected_error_shows_no_details(
    client: InProcessClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("moovier.serving.predict.render_answers", lambda *_: 1 / 0)
    answer = client.post("/predict", json=[7])
    assert answer.status_code == 500
    assert answer.json() == {
        "detail": "the request failed because of an internal error; see the service's log"
    }


def test_docs_load_nothing_from_other_hosts(client: InProcessClient) -> None:
    page = client.get("/docs").text
    assert "/openapi.json" in page
    assert "https://" not in page.split("</head>")[0]
    paths = client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        *("/models", "/models/{name}", "/predict", "/recommend", "/train", "/ratings"),
        *("/movies", "/movies/{movie_id}", "/movies/{movie_id}/similar", "/popular"),
        *("/movies/{movie_id}/providers", "/providers"),
        *("/ratings/match", "/ratings/import", "/trending", "/events"),
        *("/livez", "/readyz", "/overview", "/filters"),
    }
    problem = paths["/predict"]["post"]["responses"]["422"]["content"]["application/json"]
    assert problem["schema"]["$ref"].endswith("/Problem")
