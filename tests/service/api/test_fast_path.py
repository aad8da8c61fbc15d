"""The fast path gives the same answers as the routes, behind the same middleware."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from bentos import logs, metrics
from bentos.middleware import rate_limit
from bentos.middleware.rate_limit import BURST_S, TokenBuckets
from bentos.middleware.stack import front
from bentos.schemas.pages import Recommendations
from moovier.ids import MAX_ID
from moovier.jobs.registration import open_registry
from tests.service.api.client import (
    ApiClient,
    error_of,
    ids_of,
    new_user_ids,
)
from tests.service.in_process import InProcessClient, becomes_champion


class TwoPaths:
    """Sends requests to the service with and without its fast path."""

    def __init__(self, api: ApiClient) -> None:
        self.handed_on = 0
        self._api = api.client.api
        self.front = front(self._routes, self._api, api.state, traced=False)
        self.client = InProcessClient(self._api, self.front)
        without_fast_path = front(self._api, self._api, api.state, traced=True)
        self.routed = InProcessClient(self._api, without_fast_path)

    async def _routes(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.handed_on += 1
        await self._api(scope, receive, send)

    def equal_answer(self, path: str, **request: Any) -> tuple[httpx.Response, bool]:
        """Return the answer, which is equal on both paths, and whether it took the fast path."""
        before = self.handed_on
        answer = self.client.post(path, **request)
        was_fast = self.handed_on == before
        routed = self.routed.post(path, **request)
        assert without_id(answer) == without_id(routed)
        assert answer.headers["x-request-id"] != routed.headers["x-request-id"]
        return answer, was_fast

    def fast_answer(self, path: str, **request: Any) -> httpx.Response:
        """Return the answer, which takes the fast path the second time at the latest."""
        first, _ = self.equal_answer(path, **request)
        second, was_fast = self.equal_answer(path, **request)
        assert was_fast, f"{path} {request} took the routes"
        assert without_id(first) == without_id(second)
        return second

    def routed_answer(self, path: str, **request: Any) -> httpx.Response:
        """Return the answer, which takes the routes also the second time."""
        self.equal_answer(path, **request)
        answer, was_fast = self.equal_answer(path, **request)
        assert not was_fast, f"{path} {request} took the fast path"
        return answer


def without_id(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return an answer without its request id, with its headers in a fixed order."""
    request_id = answer.headers.get("x-request-id", "none")
    headers = sorted((k, v) for k, v in answer.headers.multi_items() if k != "x-request-id")
    return answer.status_code, headers, answer.content.replace(request_id.encode(), b"ID")


@pytest.fixture
def paths(api: ApiClient) -> TwoPaths:
    return TwoPaths(api)


def test_predict_answers_are_equal_on_both_paths(api: ApiClient, paths: TwoPaths) -> None:
    for users, query in (
        ([1], ""),
        ([11, 12], "?top_k=3"),
        ([12, 11], "?top_k=28"),
        ([13, 13], "?top_k=2"),
        ([999_999], ""),
        ([14, 999_999, 15], "?top_k=100"),
        ([16], "?model_name=champion"),
        ([16], f"?model_name={api.champion.name}"),
        ([16], f"?model_name={api.champion.name}.h5&top_k=4"),
        ([17], f"?top_k=4&model_name={api.other.name}"),
        ([17], f"?model_name={api.other.number}.h5"),
        ([17], "?model_name="),
        ([18], "?top_k=%33"),
        ([2**63 - 2**60], ""),
    ):
        paths.fast_answer(f"/predict{query}", json=users)
    paths.fast_answer(
        "/predict", content=" [ 19 ,\n20 ] ", headers={"content-type": "Application/JSON"}
    )
    paths.fast_answer(
        "/predict", content="[19]", headers={"content-type": "application/json; charset=utf-8"}
    )


def test_recommend_answers_are_equal_on_both_paths(api: ApiClient, paths: TwoPaths) -> None:
    page = api.recommend(user_id=21, top_k=5)
    for fields in (
        {},
        {"user_id": 21},
        {"user_id": 21, "genres": ["sci-fi"], "top_k": 3},
        {"user_id": 21, "top_k": 5, "cursor": page.next},
        {"user_id": 999_999},
        {"ratings": {"1": 5, "7": 4.5}, "exclude": [3], "year_from": 1990},
        {"user_id": 22, "ratings": {"1": 5}},
        {"ratings": [{"movie_id": 1, "stars": 5}, {"movie_id": 7, "stars": 1, "timestamp": 9}]},
        {"user_id": 22, "model_name": f"{api.other.name}.h5"},
        {"user_id": 22, "genres": ["Musical"], "year_to": 1950},
    ):
        paths.fast_answer("/recommend", json=fields)


@pytest.mark.parametrize("path", ["/predict", "/recommend"])
@pytest.mark.parametrize(
    "body",
    [
        *("", "[", "{", "nope", "[7", "null", "[]", "7", '"7"', "[7.5]", "[true]", '["7"]', "[0]"),
        *("[-1]", "[null]", "[NaN]", "[1e400]", "[99999999999999999999]", "[[1]]", "[1,]"),
        *('{"user_id": 0}', '{"user_id": 1, "x": 1}', '{"top_k": 0}', '{"user_id": NaN}'),
        "[" * 100_000,
        json.dumps([7] * 1001),
        f"[{MAX_ID + 1}]",
        b"\xff\xfe",
        b'\xef\xbb\xbf{"user_id": 1}',
        '{"user_id": 1}'.encode("utf-16"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_malformed_body_gets_equal_errors(paths: TwoPaths, path: str, body: str | bytes) -> None:
    kind = {"content-type": "application/json"}
    # Caches the list of unknown users.
    paths.fast_answer("/predict", json=[999_999])
    before = paths.handed_on
    answer, _ = paths.equal_answer(path, content=body, headers=kind)
    if answer.status_code != 200:
        assert paths.handed_on > before
        error_of(answer, 422)


@pytest.mark.parametrize(
    "query",
    [
        *("top_k=0", "top_k=1001", "top_k=x", "top_k=", "top_k=1.0", "top_k=-1", "top_k=1&top_k="),
        *("top_k=%D9%A3", "top_k=1_0", "top_k=+3", "top_k=%2B3", "top_k=1%00", "top_k=" + "9" * 50),
        *("top_k=nan", "top_k=true", "top_k=0x1", "top_k=03", "top_k=3%20", "top_k"),
        *("model_name=nope", "model_name=" + "x" * 201, "model_name=%FF", "model_name=.h5"),
        *("model_name=champion.h5.h5", "model_name=%63hampion", "model_name=champion%20"),
        *("foo=1", "foo", "foo=", "&&", "=", "=1", "top_k=2;model_name=nope", "TOP_K=2"),
        *("model_name=nope&model_name=champion", "model_name=champion&model_name="),
    ],
)
def test_any_query_string_gets_equal_answers(paths: TwoPaths, query: str) -> None:
    # Caches the list.
    paths.fast_answer("/predict?top_k=100", json=[23])
    paths.fast_answer("/recommend", json={"user_id": 23})
    paths.equal_answer(f"/predict?{query}", json=[23])
    paths.equal_answer(f"/recommend?{query}", json={"user_id": 23})


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", "text/plain")],
        [("content-type", "")],
        [("content-type", "application/json2")],
        [("content-type", "application/problem+json")],
        [("content-type", "application/json, text/plain")],
        [("content-type", " application/json ;x=y")],
        [("content-type", "text/plain"), ("content-type", "application/json")],
        [("content-type", "application/json"), ("content-type", "text/plain")],
    ],
    ids=str,
)
def test_any_content_type_gets_equal_answers(
    paths: TwoPaths, headers: list[tuple[str, str]]
) -> None:
    for path, body in (("/predict", b"[24]"), ("/recommend", b'{"user_id": 24}')):
        paths.fast_answer(path, content=body, headers={"content-type": "application/json"})
        paths.equal_answer(path, content=body, headers=headers)


def test_body_in_several_messages_gets_an_equal_answer(paths: TwoPaths) -> None:
    whole = paths.fast_answer("/predict", json=[25, 26])
    pieces = [b"[2", b"5, 26", b"]"]
    messages: list[Message] = []

    async def receive() -> Message:
        body = pieces.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(pieces)}

    async def send(message: Message) -> None:
        messages.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
    }
    before = paths.handed_on
    asyncio.run(paths.front(scope, receive, send))
    assert paths.handed_on == before + 1
    assert messages[0]["status"] == 200
    assert b"".join(message["body"] for message in messages[1:]) == whole.content


def test_other_paths_and_methods_go_to_the_routes(paths: TwoPaths) -> None:
    before = paths.handed_on
    for method, path in (
        ("GET", "/predict"),
        ("PUT", "/recommend"),
        ("POST", "/predict/"),
        ("POST", "/Predict"),
        ("POST", "//predict"),
        ("GET", "/models"),
        ("HEAD", "/predict"),
    ):
        assert without_id(paths.client.request(method, path)) == without_id(
            paths.routed.request(method, path)
        )
    assert paths.handed_on == before + 7


def test_new_page_takes_the_fast_path_and_errors_the_routes(paths: TwoPaths, new_user: int) -> None:
    answer, was_fast = paths.equal_answer(
        "/recommend", json={"user_id": new_user, "ratings": {"9": 4.5}}
    )
    assert was_fast
    assert answer.json()["items"]
    # The routes answer errors.
    for wrong in (
        {"ratings": {"9": 4.25}},
        {"year_from": 2001, "year_to": 2000},
        {"model_name": "?"},
    ):
        answer, was_fast = paths.equal_answer("/recommend", json={"user_id": new_user, **wrong})
        assert not was_fast
        assert answer.status_code in (404, 422)


def test_rating_invalidates_the_users_cached_page_only(
    api: ApiClient, paths: TwoPaths, new_user: int
) -> None:
    fields = {"user_id": new_user, "top_k": 5}
    popular, predicted = (
        paths.fast_answer("/recommend", json=fields),
        paths.fast_answer("/predict", json=[new_user]),
    )
    api.rate(new_user, (9, 5))
    after, _ = paths.equal_answer("/recommend", json=fields)
    assert without_id(after) != without_id(popular)
    assert 9 not in {item["movie_id"] for item in after.json()["items"]}
    assert without_id(paths.routed_answer("/predict", json=[new_user])) != without_id(predicted)
    # The new page stays in the cache until the next change.
    paths.fast_answer("/recommend", json=fields)
    api.client.delete(f"/ratings?user_id={new_user}&movie_id=9")
    again, _ = paths.equal_answer("/recommend", json=fields)
    assert ids_of(Recommendations.model_validate_json(again.content)) == ids_of(
        Recommendations.model_validate_json(popular.content)
    )
    # Another user's rating does not invalidate this page.
    paths.fast_answer("/recommend", json=fields)
    api.rate(next(new_user_ids), (9, 5))
    _, was_fast = paths.equal_answer("/recommend", json=fields)
    assert was_fast


def test_new_champion_answers_on_the_fast_path(
    api: ApiClient, paths: TwoPaths, new_user: int
) -> None:
    registry = open_registry(api.settings)
    users, fields = [26, new_user], {"user_id": 26, "top_k": 5}
    try:
        for version in (api.other, api.champion):
            paths.fast_answer("/predict", json=users)
            paths.fast_answer("/recommend", json=fields)
            registry.promote(version, "for a test")
            assert becomes_champion(api.client, version.name)
            for path, body in (("/predict", users), ("/recommend", fields)):
                answer = paths.fast_answer(path, json=body)
                assert answer.headers["x-moovier-model"] == version.name
                assert answer.headers["x-moovier-model-version"] == str(version.number)
    finally:
        registry.promote(api.champion, "as it was")
        assert becomes_champion(api.client, api.champion.name)


def test_fast_path_counts_requests(api: ApiClient, paths: TwoPaths) -> None:
    def count(route: str) -> float:
        name = f'moovier_request_seconds_count{{method="POST",route="{route}",status="200"}} '
        text = api.client.get("/metrics").text
        return float(text.partition(name)[2].partition("\n")[0] or 0)

    for path, body in (("/predict", [27]), ("/recommend", {"user_id": 27})):
        paths.fast_answer(path, json=body)
        before = count(path)
        for _ in range(3):
            assert paths.client.post(path, json=body).status_code == 200
        assert count(path) == before + 3


def test_fast_path_obeys_the_rate_limit(
    api: ApiClient, paths: TwoPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.fast_answer("/predict", json=[28])
    monkeypatch.setattr(api.state.rate_limit, "per_s", 0.25)
    assert paths.client.post("/predict", json=[28]).status_code == 200
    answer = paths.client.post("/predict", json=[28])
    assert "retry-after" in answer.headers
    error_of(answer, 429)


def test_fast_path_binds_the_request_id_to_the_log(
    paths: TwoPaths, caplog: pytest.LogCaptureFixture
) -> None:
    paths.fast_answer("/predict", json=[29])
    paths.fast_answer("/recommend", json={"user_id": 29})
    lines: list[dict[str, Any]] = []
    formatter = logs.JsonLines()

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # Formatted at once: the request id is bound only while the request is answered.
            lines.append(json.loads(formatter.format(record)))

    handler, access_log = Lines(), logging.getLogger("bentos.access_log")
    access_log.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "bentos.access_log"):
            before = paths.handed_on
            answers = [
                paths.client.post("/predict", json=[29]),
                paths.client.post("/recommend", json={"user_id": 29}),
            ]
    finally:
        access_log.removeHandler(handler)
    assert paths.handed_on == before, "the requests took the routes"
    assert [line["route"] for line in lines] == ["/predict", "/recommend"]
    assert [line["request_id"] for line in lines] == [
        answer.headers["x-request-id"] for answer in answers
    ]


def test_fast_path_obeys_the_concurrency_limit(api: ApiClient, paths: TwoPaths) -> None:
    paths.fast_answer("/predict", json=[30])
    full = front(paths._routes, api.client.api, api.state, traced=False, max_in_flight=0)
    answer = InProcessClient(api.client.api, full).post("/predict", json=[30])
    assert "retry-after" in answer.headers
    error_of(answer, 503)


def test_fast_path_counts_requests_in_flight(
    paths: TwoPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.fast_answer("/predict", json=[31])
    changes: list[int] = []
    monkeypatch.setattr(metrics, "change_in_flight", changes.append)
    before = paths.handed_on
    assert paths.client.post("/predict", json=[31]).status_code == 200
    assert paths.handed_on == before, "the request took the routes"
    assert changes == [1, -1]


def test_request_takes_one_token_of_the_rate_limit(
    api: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A bucket of two tokens that does not refill.
    monkeypatch.setattr(api.state, "rate_limit", TokenBuckets(2 / BURST_S))
    monkeypatch.setattr(rate_limit, "time", SimpleNamespace(monotonic=lambda: 1.0))
    client = TwoPaths(api).client
    # Lists of this length are not cached, so the requests pass the fast path and the routes.
    answers = [client.post("/predict?top_k=200", json=[32]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
