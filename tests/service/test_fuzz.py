"""Ten thousand requests that are wrong in every way there is: each is answered, none is believed.

The seed is fixed, so that a failure comes again; ``MOOVIER_TEST_SEED`` sets another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.dvc_checkout import ROOT
from tests.servers import Server, worker_of
from tests.service.conftest import Service
from tests.service.raw import Answer, Connection, request
from tests.service.samples import sample_service

REQUESTS, CONNECTIONS = 10_000, 16
SEED = int(os.environ.get("MOOVIER_TEST_SEED", "1"))
#: Where this machine keeps what the service works with.
PLACES = [f"{place}/" for place in (ROOT, sys.prefix, tempfile.gettempdir(), Path.home())]
#: What an answer must never hold: a stack trace, the path of a file, a name inside of Python.
TELLTALE = re.compile(
    rb"Traceback|File \"|, line [0-9]|\.py\b|site-packages|<class |"
    rb"object at 0x|sqlite|SELECT |pydantic|Error\(|" + "|".join(map(re.escape, PLACES)).encode()
)


@pytest.fixture(scope="module")
def service(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory, sample_data: Path
) -> Iterator[Service]:
    with sample_service(mlflow, tmp_path_factory.mktemp("fuzz"), sample_data) as running:
        yield running


def test_malformed_requests_break_nothing(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    before = told(service)
    process = worker_of(service.process, "Moovier")
    assert process is not None
    wrong = Wrong(SEED)
    work = [wrong.any() for _ in range(REQUESTS)]
    started = time.monotonic()
    statuses, complaints = asyncio.run(_sent(service.address, work))
    record_property("seconds", round(time.monotonic() - started, 1))
    record_property("statuses", dict(sorted(statuses.items())))
    assert complaints == []
    assert sum(statuses.values()) == REQUESTS
    # Most were understood far enough to be told what is wrong.
    assert sum(count for status, count in statuses.items() if 400 <= status < 500) > REQUESTS / 2
    assert told(service) == before
    assert process.is_running()
    assert worker_of(service.process, "Moovier") == process
    assert "Traceback" not in service.log.read_text(errors="replace")
    with service.client() as client:
        assert "moovier_requests_in_flight 0.0" in client.get("/metrics").text


def test_requests_that_never_end_hold_nobody_up(service: Service) -> None:
    url = urlsplit(service.address)
    whole = request("POST", "/predict", [1])
    idle = []
    for number in range(200):
        connection = socket.create_connection((str(url.hostname), int(url.port or 80)))
        connection.sendall(whole[: 1 + number % (len(whole) - 1)])
        idle.append(connection)
    try:
        started = time.monotonic()
        assert told(service)
        assert time.monotonic() - started < 5
    finally:
        for connection in idle:
            connection.close()


def test_who_hung_up_keeps_no_stop_waiting(service: Service) -> None:
    """The last of this file: the service is gone afterwards."""
    worker = worker_of(service.process, "Moovier")
    assert worker is not None
    url = urlsplit(service.address)
    for _ in range(20):
        with socket.create_connection((str(url.hostname), int(url.port or 80))) as connection:
            connection.sendall(request("POST", "/predict", [1])[:-1])
    service.process.terminate()
    try:
        worker.wait(8)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()


def told(service: Service) -> list[Any]:
    """What the service answers to a few requests in order, about people whom no other one names."""
    with service.client(timeout_s=20) as client:
        answers = [
            client.post("/predict?top_k=3", json=[2, 4]),
            client.get("/popular?top_k=3"),
            client.get("/movies?query=toy"),
            client.get("/models"),
        ]
    assert [answer.status_code for answer in answers] == [200] * 4
    bodies = [answer.json() for answer in answers]
    bodies[1].pop("request_id")
    return bodies


async def _sent(
    address: str, work: list[tuple[str, bytes, bool]]
) -> tuple[Counter[int], list[str]]:
    """How often each status came (0: none), and what was wrong with answers."""
    statuses: Counter[int] = Counter()
    complaints: list[str] = []
    waiting = iter(work)

    async def client() -> None:
        connection = Connection(address)
        for kind, content, half in waiting:
            answer = await connection.ask(content, half=half)
            statuses[0 if answer is None else answer.status] += 1
            complaint = None
            if answer is None:
                complaint = None if kind in UNANSWERED else "no answer"
            elif answer.status >= 500:
                complaint = f"{answer.status} {answer.body[:300]!r}"
            elif answer.status >= 400 and (found := TELLTALE.search(answer.body)):
                complaint = f"{answer.status} shows {found[0]!r}: {answer.body[:300]!r}"
            elif _ours(kind, content, answer):
                detail = _detail(answer.body)
                if detail is None or len(detail) > 20_000:
                    complaint = f"{answer.status} of another shape: {answer.body[:300]!r}"
            if complaint is not None:
                complaints.append(f"{kind}: {complaint} to {content[:300]!r}")
        await connection.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return statuses, complaints


def _ours(kind: str, content: bytes, answer: Answer) -> bool:
    """Whether the answer is an error of the application, so that it has the application's shape."""
    # BentoML takes a path with a line break for none of the application's: "Not Found".
    line_break = b"%0d%0a" in content.partition(b" HTTP/")[0]
    return answer.status >= 400 and bool(answer.body) and kind not in NOT_HTTP and not line_break


def _detail(body: bytes) -> str | None:
    try:
        said = json.loads(body)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.keys() != {"detail"}:
        return None
    detail = said["detail"]
    return detail if isinstance(detail, str) else None


#: What the HTTP server itself refuses, in words of its own, and what it may just hang up on.
NOT_HTTP = {"garbage", "oversized header", "long path", "framing"}
UNANSWERED = {*NOT_HTTP, "truncated body"}

#: Requests that are in order, to be spoilt.
GOOD: list[tuple[str, str, Any]] = [
    ("POST", "/predict?top_k=3", [1, 2]),
    ("POST", "/predict?model_name=champion", [7]),
    (
        "POST",
        "/recommend",
        {
            "user_id": 1,
            "ratings": {"1": 5, "260": 4.5},
            "top_k": 3,
            "genres": ["Drama"],
            "year_from": 1990,
            "year_to": 2000,
            "exclude": [1],
            "cursor": None,
            "model_name": None,
        },
    ),
    (
        "POST",
        "/ratings",
        {
            "user_id": 10**6,
            "ratings": [{"movie_id": 1, "stars": 4.5, "timestamp": 10**9}],
            "request_id": "x",
        },
    ),
    # As it stands this would train: it is only ever sent with something wrong that is fatal.
    ("POST", "/train", {"users": ["x"], "movies": [1], "ratings": [4]}),
    ("GET", "/movies?query=toy&top_k=2&genres=Drama&year_from=1990&year_to=2000", None),
    ("GET", "/movies/1", None),
    ("GET", "/movies/1/similar?top_k=2&cursor=abc", None),
    ("GET", "/popular?top_k=2&cursor=abc", None),
    ("GET", "/ratings?user_id=1", None),
    ("DELETE", "/ratings?user_id=1000000&movie_id=1", None),
    ("GET", "/models", None),
    ("GET", "/models/champion", None),
]
WITH_BODY = [one for one in GOOD if one[2] is not None]


class Wrong:
    """Requests with something wrong, by one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._kinds: list[tuple[int, str, Callable[[], bytes]]] = [
            (16, "broken JSON", self._broken_json),
            (20, "wrong values", self._wrong_values),
            (2, "deep nesting", self._deep),
            (8, "not UTF-8", self._not_text),
            (12, "bad percents", self._percents),
            (6, "wrong content type", self._content_type),
            (10, "wrong query", self._query),
            (8, "unknown path", self._unknown_path),
            (6, "unknown method", self._unknown_method),
            (5, "wrong header", self._header),
            (1, "oversized header", self._oversized),
            (1, "long path", self._long_path),
            (1, "large body", self._large),
            (3, "truncated body", self._truncated),
            (3, "framing", self._framing),
            (2, "garbage", self._garbage),
        ]

    def any(self) -> tuple[str, bytes, bool]:
        """Its kind, its bytes, and whether nothing follows."""
        weights = [weight for weight, _, _ in self._kinds]
        [(_, kind, make)] = self._random.choices(self._kinds, weights)
        return kind, make(), kind in ("truncated body", "framing", "garbage")

    def _broken_json(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        text = json.dumps(body)
        place = self._random.randrange(len(text))
        how = self._random.randrange(3)
        if how == 0 or path == "/train":
            text = text[:place]
        elif how == 1:
            text = text[:place] + self._random.choice('{}[],:"\\\0\x1f x-1eE.') + text[place + 1 :]
        else:
            text = (
                text[:place] + self._random.choice(['"', "//", "'", "NaN", "\ufeff"]) + text[place:]
            )
        return request(method, path, text.encode())

    def _wrong_values(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        return request(method, path, self._spoilt(body).encode())

    def _spoilt(self, value: Any) -> str:
        """``value`` as JSON with something in it replaced."""
        if isinstance(value, dict) and value and self._random.random() < 0.85:
            at = self._random.choice(list(value))
            parts = []
            for key, one in value.items():
                name = self._key(key) if key == at and self._random.random() < 0.2 else key
                said = self._spoilt(one) if key == at else json.dumps(one)
                parts.append(f"{json.dumps(name)}:{said}")
            return "{" + ",".join(parts) + "}"
        if isinstance(value, list) and value and self._random.random() < 0.7:
            return "[" + ",".join(self._spoilt(one) for one in value) + "]"
        return self._random.choice(VALUES)

    def _key(self, key: str) -> str:
        return self._random.choice(
            [key.upper(), f" {key}", "", "__proto__", "٣", "-1", "1e3", "\0"]
        )

    def _deep(self) -> bytes:
        method, path, _ = self._random.choice(WITH_BODY)
        depth = self._random.choice([50, 1_000, 5_000, 100_000, 400_000])
        opened, closed = self._random.choice([("[", "]"), ('{"a":', "}"), ("[[1],", "]")])
        depth = min(depth, 1_000_000 // (len(opened) + len(closed)))
        content = opened * depth + "1" + self._random.choice([closed * depth, ""])
        return request(method, path, content.encode())

    def _not_text(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        content = bytearray(json.dumps(body).encode())
        for _ in range(self._random.randint(1, 4)):
            content.insert(self._random.randrange(len(content)), self._random.randrange(128, 256))
        if self._random.random() < 0.2:
            content = bytearray(json.dumps(body).encode("utf-16"))
        return request(method, path, bytes(content))

    def _percents(self) -> bytes:
        method, path, body = self._random.choice(GOOD)
        bad = self._random.choice(
            [
                "%",
                "%2",
                "%zz",
                "%00",
                "%ff",
                "%c0%af",
                "%ed%a0%80",
                "%25%32",
                "%u0041",
                "%0d%0a",
                "+%",
            ]
        )
        if "?" in path and self._random.random() < 0.7:
            place = self._random.randrange(path.index("?") + 1, len(path) + 1)
        else:
            place = self._random.randrange(1, len(path) + 1)
        return request(method, path[:place] + bad + path[place:], body)

    def _content_type(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        kind = self._random.choice(CONTENT_TYPES)
        content = self._random.choice([json.dumps(body).encode(), b"--x\r\n\r\n", b"a=b", b"<a/>"])
        return request(method, path, content, {"Content-Type": kind})

    def _query(self) -> bytes:
        method, path, body = self._random.choice(GOOD)
        path, _, query = path.partition("?")
        names = ["top_k", "cursor", "model_name", "year_from", "genres", "user_id", "movie_id"]
        names += ["query", "patience", "x" * 1000, "", "top_k[]", "__class__"]
        pairs = [query] if query and self._random.random() < 0.5 else []
        for _ in range(self._random.randint(1, 4)):
            pairs.append(f"{self._random.choice(names)}={self._random.choice(WORDS)}")
        return request(method, f"{path}?{'&'.join(pairs)}", body)

    def _unknown_path(self) -> bytes:
        parts = [
            "..",
            ".",
            "movies",
            "predict",
            "etc",
            "passwd",
            "%2e%2e",
            "",
            "a" * 500,
            "%F0%9F%8E%AC",
        ]
        parts += [
            "models",
            "-1",
            "0",
            "1" * 40,
            "similar",
            "static_content",
            "nan",
            "ratings",
            ";",
            "*",
        ]
        path = "/" + "/".join(self._random.choices(parts, k=self._random.randint(1, 5)))
        # `/static_content` is BentoML's, with pages of its own.
        path = path.replace("/static_content", "/static-content")
        return request(self._random.choice(["GET", "POST", "DELETE"]), _latin(path))

    def _unknown_method(self) -> bytes:
        methods = ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND", "DELETE", "POST", "GET"]
        method, path, body = self._random.choice(GOOD)
        others = [other for other in methods if other != method]
        return request(self._random.choice(others), path, None if path == "/train" else body)

    def _header(self) -> bytes:
        method, path, body = self._random.choice(GOOD)
        name = self._random.choice(HEADERS)
        value = self._random.choice(
            ["\xff\xfe", "", "x" * 5000, "Bearer", "\t", "a b", "%00", "🎬"]
        )
        return request(method, path, body, {name: _latin(value)})

    def _oversized(self) -> bytes:
        method, path, body = self._random.choice(GOOD)
        size = self._random.choice([60_000, 70_000, 200_000])
        many = {f"X-{number}": "x" * 100 for number in range(size // 100)}
        one = {"X-Long": "x" * size}
        return request(method, path, body, self._random.choice([many, one]))

    def _long_path(self) -> bytes:
        return request("GET", f"/movies?query={'x' * self._random.choice([300, 60_000, 90_000])}")

    def _large(self) -> bytes:
        method, path, _ = self._random.choice(WITH_BODY)
        return request(method, path, b"[" + b"1," * 700_000 + b"1]")

    def _truncated(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        whole = request(method, path, body)
        return whole[: self._random.randrange(10, len(whole))]

    def _framing(self) -> bytes:
        method, path, body = self._random.choice(WITH_BODY)
        lengths = ["-1", "1e3", "99999999999999999999", "0x10", "5, 6", "", "1048577", "٣"]
        framings = [{"Content-Length": _latin(self._random.choice(lengths))}]
        framings += [{"Transfer-Encoding": "chunked"}, {"Transfer-Encoding": "x"}, {"Expect": "x"}]
        headers = self._random.choice(framings)
        return request(method, path, body, headers)

    def _garbage(self) -> bytes:
        starts = [b"GET / HTTP/9.9\r\n\r\n", b"\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n"]
        starts += [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"get / http/1.1\r\n\r\n", b"POST /predict"]
        starts += [
            b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
            b"GET  /models HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        ]
        noise = self._random.randbytes(self._random.randint(0, 300))
        return self._random.choice(starts) + noise


#: JSON texts that nothing asks for.
VALUES = [
    "null",
    "true",
    "{}",
    "[]",
    '""',
    '"x"',
    '"1"',
    "-1",
    "0",
    "0.1",
    "1e308",
    "-1e308",
    "1e999",
]
VALUES += ["NaN", "-Infinity", "9" * 400, "9" * 5000, "9223372036854775807", "9223372036854775808"]
VALUES += ["18446744073709551616", "[[[[[]]]]]", '{"a": {"b": [null]}}', '"\\ud800"', '"\\u0000"']
VALUES += ['"' + "x" * 5000 + '"', "3.3", "[" + "1," * 3000 + "1]", '{"0": 1}', '{"01": 5, "1": 5}']
#: The same in a query.
WORDS = ["", "0", "-1", "nan", "inf", "1e9", "9" * 30, "9" * 5000, "true", "null", "[]", "x" * 3000]
WORDS += ["%00", "%ff", "..%2f..%2fetc%2fpasswd", "%27%20OR%201=1--", "0x10", "1_0", "%D9%A3", "+1"]
WORDS += [
    "1.0",
    "%20",
    "champion",
    "Drama",
    "{}",
    "%F0%9F%8E%AC",
    "1;2",
    "AAAA",
    "eJwDAAAAAAE",
    "-",
]

CONTENT_TYPES = ["text/plain", "application/xml", "multipart/form-data", "", "json", "\xff", "*/*"]
CONTENT_TYPES += ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
CONTENT_TYPES += ["application/json; charset=utf-16", "application/json, text/plain"]
HEADERS = ["Idempotency-Key", "X-API-Key", "Authorization", "Accept", "Accept-Encoding", "Range"]
HEADERS += ["X-Request-Id", "Cookie", "Origin", "Forwarded", "traceparent", "If-None-Match"]


def _latin(text: str) -> str:
    """As its UTF-8 bytes, one character each."""
    return text.encode().decode("latin-1")
