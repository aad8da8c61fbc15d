"""Log runs and register versions with the ``mlflow`` library.

The library is imported when a :class:`Tracking` is created, which takes seconds and 200 MB, so only
training creates one. MLflow's global state (active run, tracking URI) does not change.
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
from moovier.registry import logged_model
from moovier.registry.client import Registry
from moovier.registry.curve_plots import learning_curves
from moovier.registry.model_record import FAMILY, ModelRecord
from moovier.registry.rest_client import NotFound, Rest
from moovier.registry.run_source import source_tags
from moovier.registry.version import COMPLETE, Version

if TYPE_CHECKING:
    from mlflow import MlflowClient

_T = TypeVar("_T")

PARENT = "mlflow.parentRunId"
#: Tag of an experiment with its kind, which MLflow's list of experiments shows. The switch at the
#: top of the page decides what is opened (MLflow 3.17).
KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
#: Tag of a run with the description that its page shows, in Markdown.
NOTE = "mlflow.note.content"
RETRAINING = "retraining"
PART = "part"
#: Metrics per request, MLflow's limit.
_BATCH = 1000
#: Tags of a model's record that its version gets, too. The registry's page shows all of them.
_VERSION_TAGS = (FAMILY, "data_hash")
#: Seconds for which a method retries while MLflow is unavailable.
PATIENCE_S = 240.0
_ANSWER_S = 30.0


class Tracking:
    """One experiment and one registered model on one MLflow server.

    Two tags identify a run: ``retraining``, the key of its retraining, and ``part``, its role in
    it. Starting an existing run returns it, so a job that was killed continues in the same runs.

    Every method raises RegistryError when MLflow refuses the request, and retries for minutes while
    MLflow is unavailable. Before a retry creates a run or a version it searches for it, because the
    first request may have succeeded.
    """

    def __init__(self, registry: Registry, tracking_uri: str, experiment: str) -> None:
        """Connect to MLflow.

        Raises:
            RegistryUnavailable: MLflow does not answer.
        """
        # Without the ping, the library would retry for minutes.
        registry.ping()
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT

        # Otherwise the library prints two lines with URLs for every finished run.
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.set(True)
        self.registry = registry
        self._client: MlflowClient = MlflowClient(tracking_uri=tracking_uri)
        self._rest = Rest(tracking_uri, _ANSWER_S)
        with _mapped_errors():
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
        """Start the run ``part`` of ``retraining``, created if needed; return its id."""

        def find_or_create() -> str:
            run_id = self.find(retraining=retraining, part=part)
            if run_id is not None:
                with _mapped_errors():
                    self._client.update_run(run_id, status="RUNNING")
                return run_id
            run_tags = {**source_tags(), RETRAINING: retraining, PART: part, **(tags or {})}
            if parent is not None:
                run_tags[PARENT] = parent
            body = {
                "experiment_id": self._experiment_id,
                "run_name": name,
                "start_time": int(time.time() * 1000),
                "tags": _pairs(run_tags),
            }
            return str(self._rest.send("POST", "/runs/create", body)["run"]["info"]["run_id"])

        return _retry(find_or_create)

    def find(self, *, retraining: str, part: str) -> str | None:
        """Return the id of the run ``part`` of ``retraining``, or None."""
        with _mapped_errors():
            runs = self._client.search_runs(
                [self._experiment_id],
                f"tags.{RETRAINING} = '{retraining}' and tags.{PART} = '{part}'",
                max_results=1,
            )
        return str(runs[0].info.run_id) if runs else None

    def log(
        self,
        run_id: str,
        *,
        params: Mapping[str, Any] | None = None,
        metrics: Mapping[str, float] | None = None,
        curves: Mapping[str, Sequence[float]] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Log values in as few requests as possible; ``curves`` have one value per epoch."""
        from mlflow.entities import Metric, Param, RunTag

        now_ms = int(time.time() * 1000)
        points = [Metric(key, float(value), now_ms, 0) for key, value in (metrics or {}).items()]
        for key, values in (curves or {}).items():
            points += [Metric(key, float(v), now_ms, step) for step, v in enumerate(values, 1)]
        param_entities = [Param(key, str(value)) for key, value in (params or {}).items()]
        tag_entities = [RunTag(key, value) for key, value in (tags or {}).items()]
        with _mapped_errors():
            self._client.log_batch(run_id, params=param_entities, tags=tag_entities)
            for start in range(0, len(points), _BATCH):
                self._client.log_batch(run_id, metrics=points[start : start + _BATCH])

    def log_curves_plot(
        self, run_id: str, curves: Mapping[str, Sequence[float]], title: str
    ) -> None:
        """Attach a plot of the learning curves, if there are any."""
        if not curves:
            return
        with tempfile.TemporaryDirectory() as folder, _mapped_errors():
            file = learning_curves(curves, title, Path(folder) / "learning_curves.png")
            self._client.log_artifact(run_id, str(file))

    def log_folder(self, run_id: str, folder: Path, name: str) -> None:
        """Attach all files of ``folder`` as the artefact folder ``name``."""
        with _mapped_errors():
            self._client.log_artifacts(run_id, str(folder), name)

    def log_data(self, run_id: str, data: DataFacts, context: str = "training") -> None:
        """Log the run's data set; its digest in MLflow is the DVC directory hash."""
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
        with _mapped_errors():
            self._client.log_inputs(
                run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])]
            )

    def finished_parts(self, retraining: str) -> set[str]:
        """Return the parts of the retraining whose run has ended."""
        parts: set[str] = set()
        page_token = None
        with _mapped_errors():
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
        """End the run with a status: ``FINISHED``, ``FAILED`` or ``KILLED``."""
        with _mapped_errors():
            self._client.set_terminated(run_id, status)

    def register(
        self,
        folder: Path,
        name: str,
        *,
        run_id: str,
        key: str,
        record: ModelRecord | None = None,
        data: DataFacts | None = None,
    ) -> Version:
        """Register the model in ``folder`` as a version with display name ``name``.

        ``record`` and ``data`` as in :meth:`upload`.

        ``key`` identifies the registration: a second call with the same key returns the existing
        version, and a model that was uploaded under it is not uploaded again; ``folder`` may then
        be missing. The version is created last, together with its tags, so a visible version is
        complete.
        """
        record_tags = {} if record is None else record.tags
        version_tags = {tag: record_tags[tag] for tag in _VERSION_TAGS if tag in record_tags}

        def find_or_create() -> Version:
            versions = self.registry.find(key=key)
            if versions:
                return versions[0]
            model_id = self.upload(folder, name, run_id=run_id, key=key, record=record, data=data)
            with _mapped_errors():
                self._ensure_registered_model()
            body = {
                "name": self.registry.model_name,
                "source": f"models:/{model_id}",
                "run_id": run_id,
                "model_id": model_id,
                "tags": _pairs({**version_tags, "name": name, "key": key, COMPLETE: "true"}),
            }
            entry = self._rest.send("POST", "/model-versions/create", body)["model_version"]
            return self.registry.resolve(str(entry["version"]))

        return _retry(find_or_create)

    def upload(
        self,
        folder: Path,
        name: str,
        *,
        run_id: str,
        key: str,
        record: ModelRecord | None = None,
        data: DataFacts | None = None,
    ) -> str:
        """Upload the model in ``folder`` without registering it; return its id.

        ``record``: what MLflow's Models page compares. ``data``: what it was trained on; its
        metrics are linked to it. A second call with the same ``key`` returns the same id, and adds
        what an earlier Moovier left out of the record. Partial uploads of killed processes are
        deleted.

        Raises:
            RegistryError: the model is neither in MLflow nor in ``folder``.
        """
        from mlflow.entities import LoggedModelOutput

        with _mapped_errors():
            uploaded = self._uploaded(key)
        if uploaded is None and not folder.is_dir():
            raise RegistryError(f"{name} is neither on this machine nor in MLflow; train it again")
        record = record or ModelRecord()
        with _mapped_errors():
            if uploaded is not None:
                model_id = str(uploaded.model_id)
                logged_model.complete(self._client, uploaded, run_id, record, data)
            else:
                model = self._client.create_logged_model(
                    self._experiment_id,
                    name=name,
                    source_run_id=run_id,
                    tags={**source_tags(), **record.tags, "key": key},
                    params=record.param_texts(),
                    model_type=str(record.params.get(FAMILY, "")) or None,
                )
                model_id = str(model.model_id)
                self._client.log_model_artifacts(model_id, str(folder))
                logged_model.log_metrics(self._client, run_id, model_id, record, data)
                self._client.log_outputs(run_id, [LoggedModelOutput(model_id, step=0)])
                self._client.finalize_logged_model(model_id, "READY")
            for model in self._models(key):
                if not _is_ready(model):
                    self._client.delete_logged_model(model.model_id)
        return model_id

    def uploaded(self, key: str) -> str | None:
        """Return the id of the model that was uploaded completely under ``key``, or None."""
        with _mapped_errors():
            model = self._uploaded(key)
        return None if model is None else str(model.model_id)

    def download_uploaded(self, model_id: str, file: str, to: Path) -> Path | None:
        """Download a file of an uploaded model; return None if it does not exist."""
        with _mapped_errors():
            uri = self._client.get_logged_model(model_id).artifact_location
        try:
            return self._rest.download(uri, file, to)
        except NotFound:
            return None

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        for _ in range(2):
            experiment = self._client.get_experiment_by_name(name)
            if experiment is not None:
                if experiment.lifecycle_stage != "active":
                    raise RegistryError(
                        f"the MLflow experiment {name!r} was deleted: restore it, or set "
                        "MOOVIER_EXPERIMENT to another name"
                    )
                if KIND not in experiment.tags:
                    self._client.set_experiment_tag(experiment.experiment_id, KIND, MODEL_TRAINING)
                return str(experiment.experiment_id)
            # Another process may create it between the two calls.
            with contextlib.suppress(MlflowException):
                return str(self._client.create_experiment(name, tags={KIND: MODEL_TRAINING}))
        raise RegistryError(f"MLflow did not create the experiment {name!r}")

    def _ensure_registered_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(self.registry.model_name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _uploaded(self, key: str) -> Any:
        return next((model for model in self._models(key) if _is_ready(model)), None)

    def _models(self, key: str) -> list[Any]:
        """Return all models uploaded under ``key``, oldest first."""
        models = self._client.search_logged_models(
            [self._experiment_id], filter_string=f"tags.key = '{key}'"
        )
        return sorted(models, key=lambda model: int(model.creation_timestamp))


def _is_ready(model: Any) -> bool:
    return str(model.status) == "READY"


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _retry(step: Callable[[], _T]) -> _T:
    """Call ``step``, again while MLflow is unavailable; it must be idempotent."""
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(RegistryUnavailable),
        stop=tenacity.stop_after_delay(PATIENCE_S),
        wait=tenacity.wait_random_exponential(multiplier=1, max=15),
        reraise=True,
    )
    return retrying(step)


@contextlib.contextmanager
def _mapped_errors() -> Iterator[None]:
    """Map MLflow's errors to RegistryError and RegistryUnavailable."""
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
