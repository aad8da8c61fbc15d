"""What proxies and their clients use: compression, HEAD, trailing slashes, kept connections."""

from __future__ import annotations

import gzip
import time
from typing import Any

import orjson
import pytest
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st

from bentos.middleware.accept_encoding import accepts
from bentos.middleware.body_size import MAX_BODY_BYTES
from bentos.middleware.compression import MIN_BYTES
from moovier.settings import Settings
from moovier.stack.services import service_command
from tests.service.in_process import MODEL, InProcessClient

GZIP = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
PLAIN = {"Accept-Encoding": "identity"}


def get_routes(client: InProcessClient) -> list[str]:
    """Return an address for each route that answers GET."""
    values = {"{name}": MODEL, "{movie_id}": "1", "{movie_id:int}": "1", "{user_id}": "7"}
    paths = []
    for route in client.api.routes:
        if isinstance(route, APIRoute) and "GET" in route.methods:
            path = route.path
            for parameter, value in values.items():
                path = path.replace(parameter, value)
            paths.append(path)
    return [*paths, "/openapi.json", "/metrics", "/nothing"]


def test_large_answers_are_compressed_for_clients_that_accept_it(client: InProcessClient) -> None:
    for path in ("/openapi.json", "/popular?top_k=5"):
        plain = client.get(path, headers=PLAIN)
        packed = client.get(path, headers={"Accept-Encoding": "br, gzip;q=0.5"})
        assert len(plain.content) >= MIN_BYTES
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert int(packed.headers["content-length"]) < len(plain.content) / 2
        assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"
        assert packed.json().keys() == plain.json().keys()


def test_fast_path_is_compressed_too(client: InProcessClient) -> None:
    plain = client.post("/predict?top_k=5", json=[7, 11, 13], headers=PLAIN)
    packed = client.post("/predict?top_k=5", json=[7, 11, 13], headers={"Accept-Encoding": "gzip"})
    assert len(plain.content) >= MIN_BYTES
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


def test_small_answers_stay_as_they_are(client: InProcessClient) -> None:
    for path in ("/livez", "/models"):
        answer = client.get(path, headers={"Accept-Encoding": "gzip"})
        assert len(answer.content) < MIN_BYTES
        assert "content-encoding" not in answer.headers
        assert "vary" not in answer.headers


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (b"gzip", True),
        (b"GZIP", True),
        (b"br, gzip;q=0.1", True),
        (b"*", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.0, *", False),
        (b"*;q=0", False),
        (b"identity", False),
        (b"xgzip", False),
        (b"gzip;q=high", False),
        (b"", False),
    ],
)
def test_accepted_encodings_are_parsed(header: bytes, accepted: bool) -> None:
    assert accepts({"headers": [(b"accept-encoding", header)]}, "gzip") is accepted
    assert accepts({"headers": []}, "gzip") is False


@given(st.binary(max_size=60))
def test_any_accept_encoding_is_parsed(header: bytes) -> None:
    assert accepts({"headers": [(b"accept-encoding", header)]}, "gzip") in (True, False)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict?top_k=3", [7, 11]),
        ("/recommend", {"ratings": {"1": 5}, "top_k": 2}),
        ("/ratings", {"user_id": 71, "ratings": [{"movie_id": 1, "stars": 4}]}),
    ],
)
def test_compressed_bodies_are_read_like_plain_ones(
    client: InProcessClient, path: str, body: Any
) -> None:
    plain = client.post(path, json=body)
    packed = client.post(path, content=gzip.compress(orjson.dumps(body)), headers=GZIP)
    assert packed.status_code == plain.status_code == 200
    assert packed.json().keys() == plain.json().keys()


def _packed(content: bytes) -> bytes:
    # Without the present time, which would give each process other names of the same tests.
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(
    ("content", "encoding", "status", "part"),
    [
        (b"[7]", "gzip", 422, "not valid gzip"),
        (_packed(b"[7]")[:-4], "gzip", 422, "not valid gzip"),
        (_packed(b"[7]") + b"more", "gzip", 422, "not valid gzip"),
        (_packed(b"[7"), "gzip", 422, "not JSON"),
        (b"[7]", "br", 415, "'br' is not supported"),
        (b"[7]", "gzip, gzip", 415, "'gzip,gzip' is not supported"),
        (_packed(b"[" + b" " * MAX_BODY_BYTES + b"7]"), "gzip", 413, "larger than"),
        (_packed(b"") * 40_000, "gzip", 422, "not valid gzip"),
        (_packed(b"[7]"), "x-gzip", 200, ""),
        (_packed(b"[7]"), "GZip, identity", 200, ""),
        (b"[7]", "identity", 200, ""),
    ],
)
def test_encodings_of_bodies_are_checked(
    client: InProcessClient, content: bytes, encoding: str, status: int, part: str
) -> None:
    headers = {"Content-Encoding": encoding, "Content-Type": "application/json"}
    started = time.process_time()
    answer = client.post("/predict", content=content, headers=headers)
    assert (answer.status_code, part in answer.text) == (status, True), answer.text
    assert time.process_time() - started < 2


def test_bomb_is_refused_before_it_is_decompressed(client: InProcessClient) -> None:
    bomb = gzip.compress(bytes(500 * MAX_BODY_BYTES), 9)
    assert len(bomb) < MAX_BODY_BYTES
    started = time.process_time()
    answer = client.post("/predict", content=bomb, headers=GZIP)
    assert answer.status_code == 413
    assert time.process_time() - started < 1


def test_head_has_the_status_and_headers_of_get(client: InProcessClient) -> None:
    for path in get_routes(client):
        got, head = client.get(path), client.head(path)
        assert head.status_code == got.status_code, path
        assert head.content == b"", path
        assert head.headers["content-type"] == got.headers["content-type"], path
    length = len(client.get("/models").content)
    assert client.head("/models").headers["content-length"] == str(length)
    assert client.head("/predict").status_code == 405


def test_trailing_slash_changes_no_answer(client: InProcessClient) -> None:
    for path in get_routes(client):
        if path != "/":
            got, slashed = client.get(path), client.get(f"{path}/")
            assert slashed.status_code == got.status_code, path
            assert slashed.headers["content-type"] == got.headers["content-type"], path
    assert client.get("/models/").json() == client.get("/models").json()
    assert client.get("/movies/?query=movie").json() == client.get("/movies?query=movie").json()
    for path in ("/predict", "/predict/"):
        assert client.post(f"{path}?top_k=2", json=[7]).status_code == 200
    assert client.get("/models//").status_code == 404


def test_kept_connections_outlive_those_of_proxies() -> None:
    command = service_command(Settings())
    assert command[command.index("--timeout-keep-alive") + 1] == "75"
    longer = service_command(Settings(keep_alive_s=600))
    assert longer[longer.index("--timeout-keep-alive") + 1] == "600"
