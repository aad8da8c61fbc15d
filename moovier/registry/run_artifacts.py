"""What the stages of one retraining hand on, kept with its parent run in MLflow.

A part is a file, or a folder as one archive, among the run's artefacts::

    parts/<name>/<sha256>[.zip]

The run's tag ``part.<name>`` names the content and is written last: a part is there whole or not
at all, and two processes that publish one at the same moment cannot mix their bytes. Everything
goes through the MLflow server, so nobody but the server holds keys of the store.
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
from moovier.registry.rest_client import NotThere, Rest

_TAG = "part."
_FOLDER = "parts"
_ZIP = ".zip"
#: The server answers when the store has taken the file, which may be far away.
_PATIENCE_S = 120.0


class RunArtifacts:
    """The parts of one run.

    Every method raises RegistryUnavailable when MLflow does not answer, and RegistryError when
    it refuses.
    """

    def __init__(self, tracking_uri: str, run_id: str) -> None:
        self._rest = Rest(tracking_uri, _PATIENCE_S)
        self._run_id = run_id

    def list(self) -> dict[str, str]:
        """Which parts there are: name and content (SHA-256 in hex, ``.zip`` for a folder)."""
        _, tags = self._run()
        return {
            name.removeprefix(_TAG): value for name, value in tags.items() if name.startswith(_TAG)
        }

    def publish(self, name: str, path: Path) -> None:
        """Hand on the file or folder ``path``; the part of that name is this from now on."""
        uri, tags = self._run()
        with tempfile.TemporaryDirectory() as scratch:
            file, ending = path, ""
            if path.is_dir():
                file, ending = _packed(path, Path(scratch) / "part"), _ZIP
            content = _sha256(file) + ending
            if tags.get(_TAG + name) == content:
                return
            self._rest.upload(uri, f"{_FOLDER}/{name}/{content}", file)
        body = {"run_id": self._run_id, "key": _TAG + name, "value": content}
        self._rest.send("POST", "/runs/set-tag", body)

    def fetch(self, name: str, path: Path) -> bool:
        """Bring a part to ``path``, whole; False where there is none.

        Raises:
            RegistryError: what the store holds is not what was handed on.
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
            except NotThere as error:
                raise self._damaged(name, "its file is gone") from error
            if _sha256(file) != content.removesuffix(_ZIP):
                raise self._damaged(name, "its file was altered")
            if content.endswith(_ZIP):
                with replaced(path) as folder:
                    _unpack(file, folder)
            else:
                file.replace(path)
        return True

    def delete(self, name: str) -> None:
        """Delete a part; one that is not there is no error. The tag goes first."""
        uri, tags = self._run()
        content = tags.get(_TAG + name)
        if content is None:
            return
        with contextlib.suppress(NotThere):
            self._rest.send(
                "POST", "/runs/delete-tag", {"run_id": self._run_id, "key": _TAG + name}
            )
        # With what processes left that were killed before they set the tag.
        self._rest.delete(uri, f"{_FOLDER}/{name}")

    def status(self) -> str | None:
        """The run's state in MLflow's words, such as ``FINISHED``; None where there is no run."""
        try:
            return str(self._get()["info"]["status"])
        except NotThere:
            return None

    def _run(self) -> tuple[str, dict[str, str]]:
        run = self._get()
        tags = {tag["key"]: tag.get("value", "") for tag in run.get("data", {}).get("tags", [])}
        return str(run["info"]["artifact_uri"]), tags

    def _get(self) -> dict[str, Any]:
        run: dict[str, Any] = self._rest.get("/runs/get", run_id=self._run_id)["run"]
        return run

    def _damaged(self, name: str, what: str) -> RegistryError:
        return RegistryError(
            f"the part {name!r} of run {self._run_id} cannot be used: {what}; start the "
            "retraining anew"
        )


def _packed(folder: Path, archive: Path) -> Path:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # A fixed date: the same files are the same part.
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
                entry.compress_type = zipfile.ZIP_DEFLATED
                with path.open("rb") as source, packed.open(entry, "w", force_zip64=True) as target:
                    while block := source.read(1 << 20):
                        target.write(block)
    return archive


def _unpack(archive: Path, folder: Path) -> None:
    # ZipFile.extract takes drive letters, leading slashes and ".." out of names.
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
