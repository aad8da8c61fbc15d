"""MLflow's login is read from the address and from the variables of its own client."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from moovier.errors import RegistryError
from moovier.registry.rest_client import PASSWORD, USERNAME, Rest


class Guarded(BaseHTTPRequestHandler):
    """A server that requires the password."""

    def do_GET(self) -> None:
        expected = base64.b64encode(b"reader:s3cret").decode()
        known = self.headers.get("Authorization") == f"Basic {expected}"
        body = b"{}" if known else b"You are not authenticated."
        self.send_response(200 if known else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Guarded) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (USERNAME, PASSWORD):
        monkeypatch.delenv(name, raising=False)


def test_login_is_read_from_the_environment(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(USERNAME, "reader")
    monkeypatch.setenv(PASSWORD, "s3cret")
    Rest(f"http://127.0.0.1:{port}", 5.0).ping()


def test_login_in_the_address_is_preferred_and_never_shown(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(USERNAME, "reader")
    monkeypatch.setenv(PASSWORD, "old")
    rest = Rest(f"http://reader:s3cret@127.0.0.1:{port}", 5.0)
    rest.ping()
    assert rest.address == f"http://127.0.0.1:{port}"


def test_missing_login_error_names_the_variables(port: int) -> None:
    with pytest.raises(RegistryError, match=f"set {USERNAME} and {PASSWORD}"):
        Rest(f"http://127.0.0.1:{port}", 5.0).ping()
