"""Parameters, metrics and tags of MLflow's logged models, which the versions point to.

A version has few tags, because MLflow's registry page shows all of them in one cell. What describes
the training stands on the logged model, where MLflow's Models page and
``mlflow.search_logged_models`` can compare it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from moovier.errors import RegistryError
from moovier.registry.rest_client import NotFound, Rest

#: Parameters that are not hyper-parameters.
FAMILY, RECIPE = "family", "recipe"
_PAGE = 100


@dataclass(frozen=True)
class ModelRecord:
    """What MLflow holds about a model.

    ``params``: JSON values, the hyper-parameters with ``family`` and ``recipe``. ``metrics``: on
    the hold-out, with the keys of ``Evaluation.metrics()``. ``tags``: what else describes it.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def hyper_parameters(self) -> dict[str, Any]:
        """The parameters of the model's family."""
        return {key: value for key, value in self.params.items() if key not in (FAMILY, RECIPE)}

    def param_texts(self) -> dict[str, str]:
        """Return the parameters as texts; :meth:`of` reads them back."""
        return {
            key: value if isinstance(value, str) else json.dumps(value)
            for key, value in self.params.items()
        }

    def finite_metrics(self) -> dict[str, float]:
        """Return the metrics without NaN and infinity, which MLflow stores as other numbers."""
        return {key: value for key, value in self.metrics.items() if math.isfinite(value)}

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ModelRecord:
        """Parse a ``LoggedModel`` object of the API.

        Raises:
            KeyError, TypeError, ValueError: the object has another form.
        """
        data = answer.get("data", {})
        return cls(
            params={entry["key"]: _value(entry["value"]) for entry in data.get("params", [])},
            # MLflow returns every logged point; the last one counts.
            metrics={
                entry["key"]: float(entry["value"])
                for entry in sorted(data.get("metrics", []), key=lambda e: int(e["timestamp"]))
            },
            tags={tag["key"]: tag.get("value", "") for tag in answer["info"].get("tags", [])},
        )


class ModelRecords:
    """The records of logged models by id, in memory after the first request.

    A record does not change after its model was uploaded. Threads may share an instance.
    """

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._known: dict[str, ModelRecord] = {}

    def of(self, model_ids: Collection[str]) -> dict[str, ModelRecord]:
        """Return the records by id; deleted models are left out.

        Raises:
            RegistryUnavailable: MLflow does not answer.
            RegistryError: MLflow refused the request.
        """
        missing = [model_id for model_id in model_ids if model_id not in self._known]
        while missing:
            experiment_id = self._read(missing.pop(0))
            if missing and experiment_id is not None:
                self._read_experiment(experiment_id, missing)
                missing = [model_id for model_id in missing if model_id not in self._known]
        return {
            model_id: self._known[model_id] for model_id in model_ids if model_id in self._known
        }

    def _read(self, model_id: str) -> str | None:
        """Read one model; return its experiment, or None if the model does not exist."""
        try:
            model = self._rest.get(f"/logged-models/{model_id}")["model"]
            self._keep(model)
            return str(model["info"]["experiment_id"])
        except NotFound:
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise RegistryError(f"MLflow's answer has an unknown form: {error!r}") from error

    def _read_experiment(self, experiment_id: str, wanted: Collection[str]) -> None:
        """Read the models of an experiment until all ``wanted`` ones are known."""
        body: dict[str, Any] = {"experiment_ids": [experiment_id], "max_results": _PAGE}
        while True:
            answer = self._rest.send("POST", "/logged-models/search", body)
            try:
                for model in answer.get("models", []):
                    self._keep(model)
            except (KeyError, TypeError, ValueError) as error:
                raise RegistryError(f"MLflow's answer has an unknown form: {error!r}") from error
            token = answer.get("next_page_token")
            if not token or all(model_id in self._known for model_id in wanted):
                return
            body["page_token"] = token

    def _keep(self, model: Mapping[str, Any]) -> None:
        if model["info"].get("status") == "LOGGED_MODEL_READY":
            self._known[str(model["info"]["model_id"])] = ModelRecord.of(model)


def _value(text: str) -> Any:
    """Return a parameter's value: JSON if it can be parsed, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text
