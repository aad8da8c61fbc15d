"""Downloading a MovieLens zip from GroupLens, believing nothing about what arrives."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import httpx

from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import Pointer
from moovier.errors import DataUnavailable, HashMismatch

#: Called with the bytes that arrived so far and the total, None where the server does not say.
Progress = Callable[[int, int | None], None]

#: A machine without network has to find out quickly; a slow download may still take its time.
CONNECT_TIMEOUT_S = 5.0


def download(
    pointer: Pointer, url: str, scratch: Path, *, timeout_s: float, progress: Progress | None = None
) -> Path:
    """Download ``<url>/<name>.zip`` and unpack it below ``scratch``; returns the unpacked folder.

    ``timeout_s``: seconds without a byte after which the download is given up.

    Raises:
        DataUnavailable: GroupLens cannot be reached, or sends no complete zip.
        HashMismatch: the zip holds other bytes than the pointer names.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    address = f"{url.rstrip('/')}/{pointer.name}.zip"
    # A folder of its own, so that two downloads at once do not write into each other.
    place = Path(tempfile.mkdtemp(prefix=f"{pointer.name}-", dir=scratch))
    try:
        archive = place / "download.zip"
        _save(address, archive, timeout_s, progress)
        folder = _unpack(archive, place / pointer.name, pointer, address)
        archive.unlink()
        found = directory_hash(folder)
        if found != pointer.hash:
            raise HashMismatch(
                f"{address} has other bytes than the pointer names: its hash is {found} instead of "
                f"{pointer.hash}. Nothing was kept. To use it all the same, unpack it yourself and "
                "run `moovier data use DIR`"
            )
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return folder


def _save(address: str, file: Path, timeout_s: float, progress: Progress | None) -> None:
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, CONNECT_TIMEOUT_S))
    try:
        with (
            httpx.stream("GET", address, timeout=timeout, follow_redirects=True) as answer,
            file.open("wb") as out,
        ):
            answer.raise_for_status()
            length = answer.headers.get("content-length")
            total = int(length) if length else None
            for block in answer.iter_bytes(1 << 16):
                out.write(block)
                if progress is not None:
                    progress(out.tell(), total)
    except httpx.HTTPStatusError as error:
        raise DataUnavailable(f"{address} answers {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DataUnavailable(f"{address} cannot be downloaded: {reason}") from error


def _unpack(archive: Path, folder: Path, pointer: Pointer, address: str) -> Path:
    """Unpack the files of the zip's one folder; a zip of more bytes than pinned is not unpacked."""
    try:
        with zipfile.ZipFile(archive) as zipped:
            files = [entry for entry in zipped.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in files) != pointer.size:
                raise HashMismatch(
                    f"{address} does not unpack to the {pointer.size} bytes that the pointer names"
                )
            folder.mkdir()
            for entry in files:
                path = PurePosixPath(entry.filename)
                if path.parent != PurePosixPath(pointer.name):
                    raise HashMismatch(
                        f"{address} holds {entry.filename!r}, outside {pointer.name}/"
                    )
                with zipped.open(entry) as source, (folder / path.name).open("wb") as out:
                    shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise DataUnavailable(
            f"{address} is not a complete zip file (a proxy's page, or cut off): {error}"
        ) from error
    return folder
