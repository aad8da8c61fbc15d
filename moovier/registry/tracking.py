"""Runs and registrations, written through the ``mlflow`` library.

The library is imported when a :class:`Tracking` is made (seconds, some 200 MB), so only what
trains makes one. Nothing of MLflow's global state (active run, tracking URI) is touched.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity

from moovier.errors import RegistryError, RegistryUnavailable
from moovier.models.bundle import DataFacts
from moovier.registry.client import Registry
from moovier.registry.pictures import learning_curves
from moovier.registry.rest_client import NotThere, Rest
from moovier.registry.version import COMPLETE, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

_T = TypeVar("_T")

PARENT = "mlflow.parentRunId"
RETRAINING = "retraining"
PART = "part"
#: What one request to MLflow may carry.
_BATCH = 1000
#: How long MLflow may be away in the middle of the work before a method gives up.
PATIENCE_S = 240.0
_ANSWER_S = 30.0


class Tracking:
    """One experiment and one registered model on one MLflow server.

    A run is known by two tags: ``retraining``, the key of the retraining it belongs to, and
    ``part``, what it is in it. Starting it again finds it again, so a job that was killed and is
    run once more goes on in the same runs.

    Every method raises RegistryError when MLflow refuses, and waits for some minutes for an MLflow
    that went away. What makes a run or a version is not simply sent again then: the first
    request may have been carried out, so that it is looked for before it is made.
    """

    def __init__(self, registry: Registry, tracking_uri: str, experiment: str) -> None:
        """
        Raises:
            RegistryUnavailable: MLflow does not answer.
        """
        # The library would try for minutes before it gives up.
        registry.ping()
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

        # Two lines of addresses for every run that ends would bury what the command prints.
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        self.registry = registry
        self._client: MlflowClient = MlflowClient(tracking_uri=tracking_uri)
        self._rest = Rest(tracking_uri, _ANSWER_S)
        with _mapped():
            self._experiment_id = self._experiment(experiment)

    def start(
        self,
        name: str,
        *,
        retraining: str,
        part: str,
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Id of the run ``part`` of ``retraining``: the one there is, else a new one, running."""

        def found_or_made() -> str:
            there = self.find(retraining=retraining, part=part)
            if there is not None:
                with _mapped():
                    self._client.update_run(there, status="RUNNING")
                return there
            marks = {RETRAINING: retraining, PART: part, **(tags or {})}
            if parent is not None:
                marks[PARENT] = parent
            body = {
                "experiment_id": self._experiment_id,
                "run_name": name,
                "start_time": int(time.time() * 1000),
                "tags": _pairs(marks),
            }
            return str(self._rest.send("POST", "/runs/create", body)["run"]["info"]["run_id"])

        return _patiently(found_or_made)

    def find(self, *, retraining: str, part: str) -> str | None:
        """Id of the run ``part`` of ``retraining``, if there is one."""
        with _mapped():
            there = self._client.search_runs(
                [self._experiment_id],
                f"tags.{RETRAINING} = '{retraining}' and tags.{PART} = '{part}'",
                max_results=1,
            )
        return str(there[0].info.run_id) if there else None

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curves: Mapping[str, Sequence[float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log in as few requests as may be; ``curves`` hold one value an epoch, from epoch 1."""
        from mlflow.entities import Metric, Param, RunTag

        now_ms = int(time.time() * 1000)
        points = [Metric(key, float(value), now_ms, 0) for key, value in (metrics or {}).items()]
        for key, values in (curves or {}).items():
            points += [Metric(key, float(v), now_ms, step) for step, v in enumerate(values, 1)]
        settled = [Param(key, str(value)) for key, value in (params or {}).items()]
        marks = [RunTag(key, value) for key, value in (tags or {}).items()]
        with _mapped():
            self._client.log_batch(run_id, params=settled, tags=marks)
            for start in range(0, len(points), _BATCH):
                self._client.log_batch(run_id, metrics=points[start : start + _BATCH])

    def log_curves_picture(
        self, run_id: str, curves: Mapping[str, Sequence[float]], title: str
    ) -> None:
        """Attach the learning curves as ``learning_curves.png``; without curves, nothing."""
        if not curves:
            return
        with tempfile.TemporaryDirectory() as folder, _mapped():
            file = learning_curves(curves, title, Path(folder) / "learning_curves.png")
            self._client.log_artifact(run_id, str(file))

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        """Attach all files of ``folder`` under ``name``."""
        with _mapped():
            self._client.log_artifacts(run_id, str(folder), name)

    def log_data(self, run_id: str, data: DataFacts, context: str = "training") -> None:
        """Say which data set the run used; its digest in MLflow is the DVC directory hash."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        profile = {"num_rows": data.ratings, "users": data.users, "movies": data.movies}
        source = {"dvc_hash": data.hash, "synthetic": data.synthetic}
        dataset = Dataset(
            name=data.name,
            digest=data.hash,
            source_type="dvc",
            source=json.dumps(source),
            profile=json.dumps(profile),
        )
        with _mapped():
            self._client.log_inputs(
                run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])]
            )

    def finished_parts(self, retraining: str) -> set[str]:
        """Parts of the retraining whose run has ended."""
        parts: set[str] = set()
        page_token = None
        with _mapped():
            while True:
                page = self._client.search_runs(
                    [self._experiment_id],
                    f"tags.{RETRAINING} = '{retraining}' and status != 'RUNNING'",
                    page_token=page_token,
                )
                parts |= {run.data.tags[PART] for run in page}
                page_token = page.token
                if not page_token:
                    return parts

    def finish(self, run_id: str, status: str = "FINISHED") -> None:
        """End the run: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        with _mapped():
            self._client.set_terminated(run_id, status)

    def register(
        self, folder: Path, name: str, *, run_id: str, key: str, tags: Mapping[str, str]
    ) -> Version:
        """Register the MLflow model in ``folder`` as a new version with display name ``name``.

        ``key`` says what is registered: with the same key again, the version there is comes back,
        and what was uploaded under it is not uploaded again; ``folder`` may be missing then.
        The version is created last, in one step with its tags: one that can be seen is whole.
        """

        def found_or_made() -> Version:
            there = self.registry.find(key=key)
            if there:
                return there[0]
            model_id = self.upload(folder, name, run_id=run_id, key=key)
            with _mapped():
                self._ensure_registered_model()
            body = {
                "name": self.registry.model_name,
                "source": f"models:/{model_id}",
                "run_id": run_id,
                "model_id": model_id,
                "tags": _pairs({**tags, "name": name, "key": key, COMPLETE: "true"}),
            }
            made = self._rest.send("POST", "/model-versions/create", body)["model_version"]
            return self.registry.resolve(str(made["version"]))

        return _patiently(found_or_made)

    def upload(self, folder: Path, name: str, *, run_id: str, key: str) -> str:
        """Upload the MLflow model in ``folder``, not registered yet; MLflow's id of it.

        With the same ``key`` again, the one there is comes back. What a killed process left half
        uploaded is deleted.

        Raises:
            RegistryError: it is neither there nor in ``folder``.
        """
        there = self.uploaded(key)
        if there is None and not folder.is_dir():
            raise RegistryError(
                f"{name} lies neither on this machine nor in MLflow: train it again"
            )
        with _mapped():
            if there is None:
                model = self._client.create_logged_model(
                    self._experiment_id, name=name, source_run_id=run_id, tags={"key": key}
                )
                self._client.log_model_artifacts(model.model_id, str(folder))
                self._client.finalize_logged_model(model.model_id, "READY")
                there = str(model.model_id)
            for model in self._models(key):
                if not _whole(model):
                    self._client.delete_logged_model(model.model_id)
        return there

    def uploaded(self, key: str) -> str | None:
        """MLflow's id of what :meth:`upload` uploaded under ``key``, None where it did not end."""
        with _mapped():
            whole = [model for model in self._models(key) if _whole(model)]
        return str(whole[0].model_id) if whole else None

    def download_uploaded(self, model_id: str, file: str, to: Path) -> Path | None:
        """Fetch one file of an uploaded model to ``to``; None where it has no such file."""
        with _mapped():
            uri = self._client.get_logged_model(model_id).artifact_location
        try:
            return self._rest.download(uri, file, to)
        except NotThere:
            return None

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        for _ in range(2):
            there = self._client.get_experiment_by_name(name)
            if there is not None:
                if there.lifecycle_stage != "active":
                    raise RegistryError(
                        f"the MLflow experiment {name!r} was deleted: restore it, or set "
                        "MOOVIER_EXPERIMENT to another name"
                    )
                return str(there.experiment_id)
            # Another process may create it between the two calls.
            with contextlib.suppress(MlflowException):
                return str(self._client.create_experiment(name))
        raise RegistryError(f"MLflow would not create the experiment {name!r}")

    def _ensure_registered_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self.registry.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _models(self, key: str) -> list[Any]:
        """What was uploaded under ``key``, whole or not, oldest first."""
        found = self._client.search_logged_models(
            [self._experiment_id], filter_string=f"tags.key = '{key}'"
        )
        return sorted(found, key=lambda model: int(model.creation_timestamp))


def _whole(model: Any) -> bool:
    return str(model.status) == "READY"


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _patiently(step: Callable[[], _T]) -> _T:
    """``step``, tried again while MLflow is away; it has to look for what it may have made."""
    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RegistryUnavailable),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_random_exponential(multiplier=1, max=15),
        reraise=True,
    )
    return tries(step)


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Turn MLflow's errors into ours."""
    import requests
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        message = f"MLflow: {error.message}"
        if error.get_http_status_code() in (502, 503, 504) or "Max retries" in message:
            raise RegistryUnavailable(message) from error
        raise RegistryError(message) from error
    except requests.RequestException as error:
        raise RegistryUnavailable(f"MLflow does not answer: {error}") from error
