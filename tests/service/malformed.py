"""Malformed requests of many kinds, made from one seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

from tests.service.raw import request

#: Valid requests, to be altered.
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
    (
        "POST",
        "/events",
        {
            "user_id": 10**6,
            "events": [{"movie_id": 1, "event": "clicked", "timestamp": 10**9}],
            "request_id": "x",
        },
    ),
    # A valid request would train a model, so this one is invalid from the start.
    ("POST", "/train", {"users": ["x"], "movies": [1], "ratings": [4]}),
    ("GET", "/movies?query=toy&top_k=2&genres=Drama&year_from=1990&year_to=2000", None),
    ("GET", "/movies/1", None),
    ("GET", "/movies/1/similar?top_k=2&cursor=abc", None),
    ("GET", "/popular?top_k=2&cursor=abc", None),
    ("GET", "/ratings?user_id=1", None),
    ("DELETE", "/ratings?user_id=1000000&movie_id=1", None),
    ("GET", "/events?user_id=1", None),
    ("DELETE", "/events?user_id=1000000&movie_id=1&event=seen", None),
    ("GET", "/models", None),
    ("GET", "/models/champion", None),
]
WITH_BODY = [one for one in GOOD if one[2] is not None]


class Malformed:
    """Makes malformed requests from one seed."""

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
        """Return a request's kind, its bytes, and whether the client closes its side afterwards."""
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
        return request(method, path, self._altered(body).encode())

    def _altered(self, value: Any) -> str:
        """Return ``value`` as JSON with a part of it replaced."""
        if isinstance(value, dict) and value and self._random.random() < 0.85:
            at = self._random.choice(list(value))
            parts = []
            for key, one in value.items():
                name = self._key(key) if key == at and self._random.random() < 0.2 else key
                content = self._altered(one) if key == at else json.dumps(one)
                parts.append(f"{json.dumps(name)}:{content}")
            return "{" + ",".join(parts) + "}"
        if isinstance(value, list) and value and self._random.random() < 0.7:
            return "[" + ",".join(self._altered(one) for one in value) + "]"
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
        # `/static_content` belongs to BentoML, with errors of another form.
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


#: Unexpected JSON texts.
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
#: Unexpected values of a query string.
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
    """Return text whose characters are the UTF-8 bytes of ``text``."""
    return text.encode().decode("latin-1")
