"""Small folders in MovieLens layout, and a fake GroupLens."""

from __future__ import annotations

import contextlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash
from moovier.data.sources import REAL
from moovier.settings import Settings
from tests.dvc_checkout import new_project

RATINGS = b"""userId,movieId,rating,timestamp
1,1,4.0,964982703
1,3,4.5,964981247
1,6,0.5,964982224
2,1,5,964983815
2,50,3.0,964982931
"""
MOVIES = """movieId,title,genres
1,Toy Story (1995),Adventure|Animation
3,"Postman, The (Postino, Il) (1994)",Comedy
6,Léon ""The Professional"",(no genres listed)
50,"Usual Suspects, The (1995)",Crime|Mystery
""".replace('Léon ""The Professional""', '"Léon ""The Professional"""').encode()
LINKS = b"""movieId,imdbId,tmdbId
1,0114709,862
3,110877,
6,,101
50,0114814,629
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A valid folder: two users, four movies, five ratings."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "ratings.csv").write_bytes(RATINGS)
    (folder / "movies.csv").write_bytes(MOVIES)
    (folder / "links.csv").write_bytes(LINKS)
    return folder


def zipped(folder: Path, under: str = REAL) -> bytes:
    """Pack the folder's files below ``under``, as GroupLens does."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{under}/", "")
        for path in sorted(folder.iterdir()):
            archive.write(path, f"{under}/{path.name}")
    return buffer.getvalue()


@pytest.fixture
def project(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout whose pointer of ml-latest-small names the content of the small folder."""
    monkeypatch.delenv("MOOVIER_DVC_REMOTE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    checkout = new_project(tmp_path / "project")
    files = list(folder.iterdir())
    (checkout / "data" / f"{REAL}.dvc").write_text(
        f"outs:\n- md5: {directory_hash(folder)}\n"
        f"  size: {sum(file.stat().st_size for file in files)}\n"
        f"  nfiles: {len(files)}\n  hash: md5\n  path: {REAL}\n"
    )
    return checkout


@pytest.fixture
def settings(project: Path) -> Settings:
    """Settings of that checkout, with an unreachable GroupLens and an empty DVC remote."""
    return Settings(
        project=project, home=project / ".moovier", grouplens_url="http://127.0.0.1:9/movielens"
    )


class GroupLens(ThreadingHTTPServer):
    """A fake GroupLens that answers as a test sets it, and counts its requests."""

    daemon_threads = True

    def __init__(self) -> None:
        self.requests = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
        self.ended = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/movielens"

    def serve(self, body: bytes, status: int = 200, content_length: int | None = None) -> None:
        """Answer with ``body``; ``content_length`` replaces the true length in the header."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            handler.send_header("Content-Length", str(content_length or len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        self.answer = answer

    def hang(self) -> None:
        """Answer with the headers only, and keep the connection open."""

        def answer(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            self.ended.wait(60)

        self.answer = answer


class _Handler(BaseHTTPRequestHandler):
    server: GroupLens

    def do_GET(self) -> None:
        self.server.requests += 1
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            if self.path == f"/movielens/{REAL}.zip":
                self.server.answer(self)
            else:
                self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Do not log requests."""


@pytest.fixture
def grouplens() -> Iterator[GroupLens]:
    with GroupLens() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.ended.set()
        server.shutdown()
