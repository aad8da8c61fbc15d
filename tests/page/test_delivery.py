"""How the service delivers the page: headers, compression, paths, and the page without a build."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from bentos.app import create_app
from tests.dvc_checkout import ROOT
from tests.service.conftest import Service

#: Largest total size of the compressed scripts, in bytes.
MAX_SCRIPT_SIZE = 150_000


def test_openapi_document_is_current() -> None:
    from bentos.export_openapi import document

    assert (ROOT / "web" / "openapi.json").read_text() == document(), "run: make openapi"


def test_package_lock_names_no_registry() -> None:
    lock = (ROOT / "web" / "package-lock.json").read_text()
    assert "resolved" not in lock
    assert not re.search(r"https?://(?!opencollective|github\.com|\S*funding)", lock) or not (
        re.search(r"registry", lock)
    )
    assert all(
        "integrity" in package for name, package in json.loads(lock)["packages"].items() if name
    )


def test_scripts_are_small(built: Path) -> None:
    sizes = {file.name: file.stat().st_size for file in built.glob("page/*.js.gz")}
    assert sizes
    assert sum(sizes.values()) < MAX_SCRIPT_SIZE, sizes


@pytest.mark.parametrize("path", ["/", "/movie/1", "/you", "/behind"])
def test_each_view_returns_the_page(service: Service, path: str) -> None:
    with service.client() as client:
        answer = client.get(path, headers={"Accept-Encoding": "identity"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert '<div id="page">' in answer.text
        assert client.head(path).status_code == 200


def test_policy_forbids_inline_code_and_page_has_none(service: Service, built: Path) -> None:
    answer = httpx.get(f"{service.address}/", trust_env=False)
    policy = answer.headers["content-security-policy"]
    assert "unsafe" not in policy
    for rule in ("script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy.split("; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<style|style=|<script(?![^>]*src=)|\son\w+=", answer.text)
    assert re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    assert all(
        url.startswith("/page/") for url in re.findall(r'(?:src|href)="([^"]+)"', answer.text)
    )


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip, br", "br"), ("gzip;q=1", "gzip"), ("", None)]
)
def test_files_are_compressed_and_immutable(
    service: Service, built: Path, accepted: str, encoding: str | None
) -> None:
    file = next(built.glob("page/index-*.js"))
    with (
        httpx.Client(base_url=service.address, trust_env=False) as client,
        client.stream("GET", f"/page/{file.name}", headers={"Accept-Encoding": accepted}) as answer,
    ):
        raw = b"".join(answer.iter_raw())
    assert answer.headers.get("content-encoding") == encoding
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.headers["content-type"].startswith("text/javascript")
    if encoding == "gzip":
        assert gzip.decompress(raw) == file.read_bytes()
    elif encoding is None:
        assert raw == file.read_bytes()
    else:
        assert len(raw) < file.stat().st_size / 2


@pytest.mark.parametrize(
    "path",
    [
        "/page/index-nothing.js",
        "/page/..%2findex.html",
        "/page/%2e%2e/index.html",
        "/page/.built",
        "/page/index.py",
        "/page/a%00.js",
        "/movie/x",
        "/anything",
        "/page",
    ],
)
def test_unknown_paths_return_json_errors(service: Service, path: str) -> None:
    answer = httpx.get(service.address + path, trust_env=False)
    assert answer.status_code == 404
    assert answer.json()["detail"]


def test_page_leaves_the_api_paths_alone(service: Service) -> None:
    with service.client() as client:
        assert isinstance(client.get("/models").json(), list)
        assert client.get("/movies/1").json()["movie_id"] == 1
        assert "swagger" in client.get("/docs").text
        assert client.get("/static_content/swagger-ui.css").status_code == 200
        assert client.get("/openapi.json").json()["info"]["title"] == "Moovier"
        assert client.get("/readyz").status_code == 200
        assert client.post("/").status_code == 405


def test_page_without_a_build_names_the_build_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOOVIER_PROJECT", str(tmp_path))
    monkeypatch.setenv("MOOVIER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with TestClient(create_app()) as client:
        answer = client.get("/")
        assert answer.status_code == 200
        assert "make web" in answer.text
        assert 'href="/docs"' in answer.text
        assert "Content-Security-Policy" in answer.headers
        assert client.get("/page/index.js").status_code == 404
        assert client.get("/docs").status_code == 200
        overview = client.get("/overview").json()
        assert overview["serving"] is None
        assert overview["trouble"]
        # A later build is served without a restart.
        (tmp_path / "web" / "dist").mkdir(parents=True)
        (tmp_path / "web" / "dist" / "index.html").write_text("<p>here")
        assert client.get("/").text == "<p>here"
