"""Runs and registrations, written through the ``mlflow`` library.

The library is imported when a :class:`Tracking` is made (seconds, some 200 MB), so only what
trains makes one. Nothing of MLflow's global state (active run, tracking URI) is touched.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moovier.errors import RegistryError, RegistryUnavailable
from moovier.models.bundle import DataFacts
from moovier.registry.client import Registry
from moovier.registry.pictures import learning_curves
from moovier.registry.version import COMPLETE, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARENT = "mlflow.parentRunId"
RETRAINING = "retraining"
PART = "part"
#: What one request to MLflow may carry.
_BATCH = 1000


class Tracking:
    """One experiment and one registered model on one MLflow server.

    A run is known by two tags: ``retraining``, the key of the retraining it belongs to, and
    ``part``, what it is in it. Starting it again finds it again, so a job that was killed and is
    run once more goes on in the same runs.

    Every method raises RegistryError when MLflow refuses.
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
        with _mapped():
            there = self._client.search_runs(
                [self._experiment_id],
                f"tags.{RETRAINING} = '{retraining}' and tags.{PART} = '{part}'",
                max_results=1,
            )
            if there:
                self._client.update_run(there[0].info.run_id, status="RUNNING")
                return str(there[0].info.run_id)
            marks = {RETRAINING: retraining, PART: part, **(tags or {})}
            if parent is not None:
                marks[PARENT] = parent
            return str(
                self._client.create_run(self._experiment_id, run_name=name, tags=marks).info.run_id
            )

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

        ``key`` says what is registered: with the same key again, the version there is comes back.
        Everything is uploaded first and the version is created last, in one step with its tags:
        a version that can be seen is whole.
        """
        there = self.registry.find(key=key)
        if there:
            return there[0]
        with _mapped():
            self._drop_unfinished(key)
            model = self._client.create_logged_model(
                self._experiment_id, name=name, source_run_id=run_id, tags={"key": key}
            )
            self._client.log_model_artifacts(model.model_id, str(folder))
            self._client.finalize_logged_model(model.model_id, "READY")
            self._ensure_registered_model()
            version = self._client.create_model_version(
                self.registry.model_name,
                f"models:/{model.model_id}",
                run_id=run_id,
                tags={**tags, "name": name, "key": key, COMPLETE: "true"},
                model_id=model.model_id,
                await_creation_for=0,
            )
        return self.registry.resolve(str(version.version))

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

    def _drop_unfinished(self, key: str) -> None:
        """Delete uploads of the same thing that a killed process left; no version points there."""
        for model in self._client.search_logged_models(
            [self._experiment_id], filter_string=f"tags.key = '{key}'"
        ):
            self._client.delete_logged_model(model.model_id)


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
