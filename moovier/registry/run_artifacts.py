"""Share files and folders between machines as artefacts of an MLflow run.

Each shared file, or folder as one archive, is an artefact::

    parts/<name>/<sha256>[.zip]

The run's tag ``part.<name>`` has the artefact's file name and is written last, so a reader sees a
complete artefact or none, and two processes that publish the same name cannot mix their content.
All requests go through the MLflow server, so only the server needs the credentials of the store.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from moovier.errors import RegistryError
from moovier.registry.atomic_folder import replaced
from moovier.registry.rest_client import NotFound, Rest

_TAG = "part."
_FOLDER = "parts"
_ZIP = ".zip"
#: Seconds; the server answers after it has written the file to its store.
_TIMEOUT_S = 120.0


class RunArtifacts:
    """The shared artefacts of one run.

    Every method raises RegistryUnavailable when MLflow does not answer, and RegistryError when it
    refuses the request.
    """

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self._rest = Rest(tracking_uri, _TIMEOUT_S)
        self._run_id = run_id

    def list(self) -> dict[str, str]:
        """Return the artefacts' file names by name: SHA-256, ``.zip`` for a folder."""
        _, tags = self._run()
        return {
            name.removeprefix(_TAG): value for name, value in tags.items() if name.startswith(_TAG)
        }

    def publish(self, name: str, path: Path) -> None:
        """Upload the file or folder ``path`` as ``name``, replacing an earlier one."""
        uri, tags = self._run()
        with tempfile.TemporaryDirectory() as scratch:
            file, suffix = path, ""
            if path.is_dir():
                file, suffix = _pack(path, Path(scratch) / "part"), _ZIP
            content = _sha256(file) + suffix
            if tags.get(_TAG + name) == content:
                return
            self._rest.upload(uri, f"{_FOLDER}/{name}/{content}", file)
        body = {"run_id": self._run_id, "key": _TAG + name, "value": content}
        self._rest.send("POST", "/runs/set-tag", body)

    def fetch(self, name: str, path: Path) -> bool:
        """Download an artefact to ``path``, atomically; return False if there is none.

        Raises:
            RegistryError: the stored file is missing or altered.
        """
        uri, tags = self._run()
        content = tags.get(_TAG + name)
        if content is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as scratch:
            file = Path(scratch) / "part"
            try:
                self._rest.download(uri, f"{_FOLDER}/{name}/{content}", file)
            except NotFound as error:
                raise self._damaged(name, "its file is missing") from error
            if _sha256(file) != content.removesuffix(_ZIP):
                raise self._damaged(name, "its file was altered")
            if content.endswith(_ZIP):
                with replaced(path) as folder:
                    _unpack(file, folder)
            else:
                file.replace(path)
        return True

    def delete(self, name: str) -> None:
        """Delete an artefact, if it exists; its tag is deleted first."""
        uri, tags = self._run()
        content = tags.get(_TAG + name)
        if content is None:
            return
        with contextlib.suppress(NotFound):
            self._rest.send(
                "POST", "/runs/delete-tag", {"run_id": self._run_id, "key": _TAG + name}
            )
        # The whole folder: it may have files of processes that were killed before they set the tag.
        self._rest.delete(uri, f"{_FOLDER}/{name}")

    def status(self) -> str | None:
        """Return the run's status, such as ``FINISHED``, or None without a run."""
        try:
            return str(self._get()["info"]["status"])
        except NotFound:
            return None

    def _run(self) -> tuple[str, dict[str, str]]:
        run = self._get()
        tags = {tag["key"]: tag.get("value", "") for tag in run.get("data", {}).get("tags", [])}
        return str(run["info"]["artifact_uri"]), tags

    def _get(self) -> dict[str, Any]:
        run: dict[str, Any] = self._rest.get("/runs/get", run_id=self._run_id)["run"]
        return run

    def _damaged(self, name: str, reason: str) -> RegistryError:
        return RegistryError(
            f"the artefact {name!r} of run {self._run_id} cannot be used: {reason}; start a new "
            "retraining"
        )


def _pack(folder: Path, archive: Path) -> Path:
    """Write a folder's files into a zip archive and return the archive."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as zip_file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # A fixed date, so that the same files give the same archive.
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                with (
                    path.open("rb") as source,
                    zip_file.open(entry, "w", force_zip64=True) as target,
                ):
                    while block := source.read(1 << 20):
                        target.write(block)
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    # extractall removes drive letters, leading slashes and ".." from names.
    with zipfile.ZipFile(archive) as zip_file:
        zip_file.extractall(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
