"""MLflow's REST API in memory, for tests of what is read from its answers."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from moovier.registry.model_record import ModelRecords
from moovier.registry.reader import RegistryReader
from moovier.registry.rest_client import NotFound, Rest

MODEL = "moovier"
#: Tags of a complete version besides its name.
COMPLETE = {"complete": "true", "family": "popular"}
_CONDITION = re.compile(r"(name|tags\.\w+)='([^']*)'")


class FakeRest:
    """One registered model, its versions and their logged models.

    ``requests``: the paths and arguments of all requests. ``folders``: the artefacts of versions.
    ``models``: logged models by id, as MLflow answers them.
    """

    address = "http://mlflow.test"

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []
        self.aliases: dict[str, int] = {}
        self.tags: dict[str, str] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.folders: dict[int, Path] = {}
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self._lock = threading.Lock()

    def add(self, name: str, folder: Path | None = None, **tags: str) -> int:
        """Add a version, complete unless ``tags`` say otherwise; return its number."""
        number = len(self.versions) + 1
        own = {"name": name, **COMPLETE, **tags}
        self.versions.append(
            {
                "version": str(number),
                "creation_timestamp": 1_800_000_000_000 + number,
                "run_id": f"run{number}",
                "source": "mlflow-artifacts:/x",
                "tags": [{"key": key, "value": value} for key, value in own.items()],
            }
        )
        if folder is not None:
            self.folders[number] = folder
        return number

    def add_logged_model(
        self, model_id: str, experiment: str = "1", status: str = "LOGGED_MODEL_READY", **data: Any
    ) -> None:
        """Add a logged model; ``data``: its tags, params and metrics as MLflow lists them."""
        info = {"model_id": model_id, "experiment_id": experiment, "status": status}
        info["tags"] = data.pop("tags", [])
        self.models[model_id] = {"info": info, "data": data}

    def count(self, path: str) -> int:
        """Return the number of requests to paths that start with ``path``."""
        return sum(called.startswith(path) for called, _ in self.requests)

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        self.requests.append((path, params))
        if path == "/registered-models/get":
            return {"registered_model": self._registered_model()}
        if path == "/model-versions/search":
            return self._search(params)
        if path == "/model-versions/get":
            return {"model_version": self._version(params["version"])}
        if path == "/model-versions/get-download-uri":
            return {"artifact_uri": f"mlflow-artifacts:/{params['version']}"}
        model = self.models.get(path.removeprefix("/logged-models/"))
        if model is None:
            raise NotFound(f"there is no {path}")
        return {"model": model}

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        assert (method, path) == ("POST", "/logged-models/search")
        self.requests.append((path, dict(body)))
        models = [
            model
            for model in self.models.values()
            if model["info"]["experiment_id"] in body["experiment_ids"]
        ]
        start, size = int(body.get("page_token", 0)), int(body["max_results"])
        more = {"next_page_token": str(start + size)} if start + size < len(models) else {}
        return {"models": models[start : start + size], **more}

    def download(self, artifact_uri: str, file: str, to: Path) -> Path:
        with self._lock:
            self.requests.append((f"download {file}", {}))
        source = self.folders.get(int(artifact_uri.rpartition("/")[2]), Path("nowhere")) / file
        if not source.is_file():
            raise NotFound(f"there is no {file}")
        shutil.copyfile(source, to)
        return to

    def _registered_model(self) -> dict[str, Any]:
        if not self.versions:
            raise NotFound("there is no such registered model")
        return {
            "aliases": [{"alias": a, "version": str(n)} for a, n in self.aliases.items()],
            "tags": [{"key": key, "value": value} for key, value in self.tags.items()],
        }

    def _version(self, number: str) -> dict[str, Any]:
        for version in self.versions:
            if version["version"] == number:
                aliases = [alias for alias, n in self.aliases.items() if str(n) == number]
                return {**version, "aliases": aliases}
        raise NotFound(f"there is no version {number}")

    def _search(self, params: Mapping[str, Any]) -> dict[str, Any]:
        wanted = dict(_CONDITION.findall(params["filter"]))
        assert wanted.pop("name") == MODEL
        found = [
            version
            for version in self.versions
            if wanted.items()
            <= {f"tags.{tag['key']}": tag["value"] for tag in version["tags"]}.items()
        ]
        start, size = int(params["page_token"] or 0), int(params["max_results"])
        more = {"next_page_token": str(start + size)} if start + size < len(found) else {}
        return {"model_versions": found[start : start + size], **more}


def _tags_of(version: Mapping[str, Any]) -> dict[str, str]:
    return {f"tags.{tag['key']}": tag["value"] for tag in version["tags"]}


def reader_of(rest: FakeRest) -> RegistryReader:
    """Return a reader whose requests ``rest`` answers."""
    reader = RegistryReader(rest.address, MODEL)
    reader._rest = cast(Rest, rest)
    reader._records = ModelRecords(reader._rest)
    return reader
