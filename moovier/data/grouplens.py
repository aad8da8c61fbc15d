"""Download a MovieLens zip from GroupLens and verify it against the pointer."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import requests

from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import Pointer
from moovier.errors import DataUnavailable, HashMismatch

#: Called with the bytes received so far and the total, which is None where unknown.
Progress = Callable[[int, int | None], None]

#: Short, so that a machine without network fails quickly; a slow download may take longer.
CONNECT_TIMEOUT_S = 5.0


def download(
    pointer: Pointer, url: str, scratch: Path, *, timeout_s: float, progress: Progress | None = None
) -> Path:
    """Download ``<url>/<name>.zip``, unpack it below ``scratch`` and return the folder.

    ``timeout_s``: the longest wait for the next byte.

    Raises:
        DataUnavailable: GroupLens cannot be reached, or does not send a complete zip.
        HashMismatch: the zip does not hold the bytes that the pointer names.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    address = f"{url.rstrip('/')}/{pointer.name}.zip"
    # A new folder, so that concurrent downloads do not overwrite each other.
    download_folder = Path(tempfile.mkdtemp(prefix=f"{pointer.name}-", dir=scratch))
    try:
        archive = download_folder / "download.zip"
        _save(address, archive, timeout_s, progress)
        folder = _unpack(archive, download_folder / pointer.name, pointer, address)
        archive.unlink()
        actual_hash = directory_hash(folder)
        if actual_hash != pointer.hash:
            raise HashMismatch(
                f"{address} has the hash {actual_hash}, but the pointer names {pointer.hash}. "
                "Nothing was stored. To use it all the same, unpack it yourself and run "
                "`moovier data use DIR`"
            )
    except BaseException:
        shutil.rmtree(download_folder, ignore_errors=True)
        raise
    return folder


def _save(address: str, file: Path, timeout_s: float, progress: Progress | None) -> None:
    timeout = (min(timeout_s, CONNECT_TIMEOUT_S), timeout_s)
    try:
        with (
            requests.get(address, timeout=timeout, stream=True) as response,
            file.open("wb") as out,
        ):
            response.raise_for_status()
            length = response.headers.get("content-length")
            total = int(length) if length else None
            for block in response.iter_content(1 << 16):
                out.write(block)
                if progress is not None:
                    progress(out.tell(), total)
    except requests.HTTPError as error:
        raise DataUnavailable(f"{address} answered {error.response.status_code}") from error
    except (requests.RequestException, OSError) as error:
        reason = str(error) or type(error).__name__
        raise DataUnavailable(f"{address} cannot be downloaded: {reason}") from error


def _unpack(archive: Path, folder: Path, pointer: Pointer, address: str) -> Path:
    """Unpack the zip's only folder, after a check of its size and paths.

    Raises:
        DataUnavailable: the zip is not complete.
        HashMismatch: the zip has another size, or a file outside the folder.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            files = [entry for entry in zipped.infolist() if not entry.is_dir()]
            if sum(entry.file_size for entry in files) != pointer.size:
                raise HashMismatch(
                    f"{address} does not unpack to {pointer.size:,} bytes, as the pointer names"
                )
            folder.mkdir()
            for entry in files:
                path = PurePosixPath(entry.filename)
                if path.parent != PurePosixPath(pointer.name):
                    raise HashMismatch(
                        f"{address} contains {entry.filename!r}, outside {pointer.name}/"
                    )
                with zipped.open(entry) as source, (folder / path.name).open("wb") as out:
                    shutil.copyfileobj(source, out)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, NotImplementedError) as error:
        raise DataUnavailable(
            f"{address} is not a complete zip file (cut off, or a proxy's page): {error}"
        ) from error
    return folder
