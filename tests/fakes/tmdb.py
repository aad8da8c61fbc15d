"""A fake TMDB over real HTTP that a test can slow down, break or limit; it checks the key."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

V3_KEY = "0123456789abcdef0123456789abcdef"
V4_TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJ0ZXN0In0.c2lnbmF0dXJl"

#: The details of a movie, in the form of TMDB.
BRAVEHEART: dict[str, Any] = {
    "adult": False,
    "backdrop_path": "/8lBcqakI3F19NWkXdqE0M8W76b9.jpg",
    "belongs_to_collection": None,
    "budget": 72000000,
    "genres": [
        {"id": 28, "name": "Action"},
        {"id": 18, "name": "Drama"},
        {"id": 36, "name": "History"},
        {"id": 10752, "name": "War"},
    ],
    "homepage": "",
    "id": 197,
    "imdb_id": "tt0112573",
    "original_language": "en",
    "original_title": "Braveheart",
    "overview": "Enraged at the slaughter of Murron, his new bride and childhood love, Scottish "
    "warrior William Wallace slays a platoon of the local English lord's soldiers. This leads the "
    "village to revolt and, eventually, the entire country to rise up against English rule.",
    "popularity": 60.035,
    "poster_path": "/or1gBugydmjToAEq7OZY0owwFk.jpg",
    "production_companies": [
        {
            "id": 4564,
            "logo_path": None,
            "name": "Icon Entertainment International",
            "origin_country": "GB",
        },
        {
            "id": 7965,
            "logo_path": None,
            "name": "The Ladd Company",
            "origin_country": "US",
        },
        {"id": 11353, "logo_path": None, "name": "B.H. Finance C.V.", "origin_country": ""},
    ],
    "production_countries": [{"iso_3166_1": "US", "name": "United States of America"}],
    "release_date": "1995-05-24",
    "revenue": 213216216,
    "runtime": 177,
    "spoken_languages": [
        {"english_name": "English", "iso_639_1": "en", "name": "English"},
        {"english_name": "French", "iso_639_1": "fr", "name": "Français"},
        {"english_name": "Latin", "iso_639_1": "la", "name": "Latin"},
        {"english_name": "Gaelic", "iso_639_1": "gd", "name": ""},
    ],
    "status": "Released",
    "tagline": "Every man dies. Not every man truly lives.",
    "title": "Braveheart",
    "video": False,
    "vote_average": 7.936,
    "vote_count": 9488,
}


@dataclass
class FakeTmdb:
    """The state of the fake. ``requested``: the requested movie ids in order."""

    delay_s: float = 0.0
    #: Statuses of the next responses in order; after them, and for None, it answers normally.
    statuses: list[int | None] = field(default_factory=list)
    #: The status of every response.
    status: int | None = None
    retry_after: str | None = None
    #: The body of every response, in place of details.
    body: bytes | None = None
    missing: set[int] = field(default_factory=set)
    requested: list[int] = field(default_factory=list)
    requested_providers: list[int] = field(default_factory=list)
    #: The watch providers of a movie by region, as TMDB sends them.
    offers: dict[int, dict[str, Any]] = field(default_factory=dict)
    #: The providers of a country, as TMDB sends them.
    in_region: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    #: Directors and actors of a movie; the others have none.
    people: dict[int, tuple[list[str], list[str]]] = field(default_factory=dict)
    requested_content: list[int] = field(default_factory=list)
    #: Fields of a movie's details that differ.
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)
    most_at_once: int = 0
    address: str = ""
    _at_once: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, path: str, headers: Any) -> tuple[int, dict[str, str], bytes]:
        """Return the status, headers and body of a response."""
        url = urlsplit(path)
        query = parse_qs(url.query)
        is_region = url.path == "/3/watch/providers/movie"
        text, _, rest = url.path.removeprefix("/3/movie/").partition("/")
        id_ = 0 if is_region else int(text)
        with_credits = query.get("append_to_response") == ["credits"]
        with self._lock:
            if with_credits:
                self.requested_content.append(id_)
            elif not is_region:
                (self.requested_providers if rest else self.requested).append(id_)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            status = self.status or (self.statuses.pop(0) if self.statuses else None)
        time.sleep(self.delay_s)
        with self._lock:
            self._at_once -= 1
        has_v3_key = query.get("api_key") == [V3_KEY]
        if not has_v3_key and headers.get("authorization") != f"Bearer {V4_TOKEN}":
            return 401, {}, b'{"status_code": 7, "status_message": "Invalid API key"}'
        if status is not None:
            extra = {"Retry-After": self.retry_after} if self.retry_after else {}
            return status, extra, b'{"status_message": "not now"}'
        if id_ in self.missing:
            return 404, {}, b'{"status_code": 34}'
        if self.body is not None:
            return 200, {}, self.body
        if is_region:
            results = self.in_region.get(query["watch_region"][0], [])
            return 200, {}, json.dumps({"results": results}).encode()
        if rest:
            return 200, {}, json.dumps({"id": id_, "results": self.offers.get(id_, {})}).encode()
        # TMDB adds fields over the years.
        changed = dict(self.changed.get(id_, {}))
        if with_credits:
            changed["credits"] = credits_of(*self.people.get(id_, ([], [])))
        return 200, {}, json.dumps({**details(id_), "origin_country": ["US"], **changed}).encode()


def credits_of(directors: list[str], actors: list[str]) -> dict[str, Any]:
    """Return credits as TMDB sends them; equal names have equal ids."""
    crew = [{"id": _person(name), "name": name, "job": "Director"} for name in directors]
    cast = [{"id": _person(n), "name": n, "order": place} for place, n in enumerate(actors)]
    writer = {"id": 1, "name": "A Writer", "job": "Screenplay"}
    return {"cast": cast[::-1], "crew": [writer, *crew]}


def _person(name: str) -> int:
    return int.from_bytes(name.encode()[:6], "big")


def offer(id_: int, name: str, place: int = 1) -> dict[str, Any]:
    """Return a provider as TMDB sends it."""
    logo = f"/logo{id_}.jpg"
    return {
        "logo_path": logo,
        "provider_id": id_,
        "provider_name": name,
        "display_priority": place,
    }


def details(id_: int) -> dict[str, Any]:
    """Return the details of a movie."""
    return BRAVEHEART if id_ == 197 else {**BRAVEHEART, "id": id_, "title": f"TMDB's {id_}"}


@contextlib.contextmanager
def fake_tmdb() -> Iterator[FakeTmdb]:
    """Run a fake TMDB at a free port."""
    tmdb = FakeTmdb()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = tmdb.answer(self.path, self.headers)
            with contextlib.suppress(ConnectionError):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """Ignore clients that hang up, which are part of the tests."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tmdb.address = f"http://127.0.0.1:{server.server_address[1]}/3"
    try:
        yield tmdb
    finally:
        server.shutdown()
        server.server_close()
