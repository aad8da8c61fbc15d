"""A download from GroupLens is verified, and leaves nothing behind where it fails."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from moovier.data import grouplens as grouplens_download
from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import Pointer, read_pointer
from moovier.data.sources import REAL
from moovier.errors import DataUnavailable
from tests.unit.data.conftest import GroupLens, zipped


@pytest.fixture
def pointer(project: Path) -> Pointer:
    return read_pointer(project, REAL)


def test_zip_is_unpacked_into_a_folder_of_its_name(
    pointer: Pointer, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    grouplens.serve(zipped(folder))
    scratch = tmp_path / "deep" / "scratch"
    unpacked = grouplens_download.download(pointer, grouplens.url + "/", scratch, timeout_s=60)
    assert unpacked.name == REAL
    assert unpacked.parent.parent == scratch
    assert directory_hash(unpacked) == pointer.hash
    assert [path.name for path in unpacked.parent.iterdir()] == [REAL], "the zip is deleted"


def test_progress_grows_up_to_the_size_of_the_zip(
    pointer: Pointer, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    body = zipped(folder)
    grouplens.serve(body)
    calls: list[tuple[int, int | None]] = []
    grouplens_download.download(
        pointer,
        grouplens.url,
        tmp_path / "scratch",
        timeout_s=60,
        progress=lambda received, total: calls.append((received, total)),
    )
    assert calls == sorted(calls)
    assert calls[-1] == (len(body), len(body))


def test_progress_has_no_total_where_the_server_gives_none(
    pointer: Pointer, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    body = zipped(folder)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    grouplens.answer = answer
    totals: list[int | None] = []
    grouplens_download.download(
        pointer,
        grouplens.url,
        tmp_path / "scratch",
        timeout_s=60,
        progress=lambda received, total: totals.append(total),
    )
    assert set(totals) == {None}


def test_redirect_is_followed(
    pointer: Pointer, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    body = zipped(folder)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        if grouplens.requests == 1:
            handler.send_response(302)
            handler.send_header("Location", handler.path)
            handler.end_headers()
            return
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    grouplens.answer = answer
    unpacked = grouplens_download.download(
        pointer, grouplens.url, tmp_path / "scratch", timeout_s=60
    )
    assert directory_hash(unpacked) == pointer.hash
    assert grouplens.requests == 2


def test_concurrent_downloads_do_not_share_a_folder(
    pointer: Pointer, folder: Path, grouplens: GroupLens, tmp_path: Path
) -> None:
    grouplens.serve(zipped(folder))

    def download(_: int) -> Path:
        return grouplens_download.download(
            pointer, grouplens.url, tmp_path / "scratch", timeout_s=60
        )

    with ThreadPoolExecutor(4) as threads:
        folders = list(threads.map(download, range(4)))
    assert len(set(folders)) == 4
    assert {directory_hash(unpacked) for unpacked in folders} == {pointer.hash}


def test_failed_download_leaves_an_empty_scratch_folder(
    pointer: Pointer, grouplens: GroupLens, tmp_path: Path
) -> None:
    grouplens.serve(b"not a zip")
    with pytest.raises(DataUnavailable, match="not a complete zip"):
        grouplens_download.download(pointer, grouplens.url, tmp_path / "scratch", timeout_s=60)
    assert list((tmp_path / "scratch").iterdir()) == []
