"""The headers that name the model of an answer."""

from __future__ import annotations

from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.predict import PredictAnswer

#: Most user or movie ids in a header.
MAX_IDS = 100


def model_headers(model: LoadedModel) -> dict[str, str]:
    """Return the headers with a model's name and version."""
    return {"X-Moovier-Model": model.name, "X-Moovier-Model-Version": str(model.number)}


def predict_headers(answer: PredictAnswer) -> dict[str, str]:
    """Return the headers of `/predict`: the model, and the users that it does not know."""
    headers = model_headers(answer.model)
    if answer.unknown_users:
        unknown = ",".join(str(user) for user in answer.unknown_users[:MAX_IDS])
        headers["X-Moovier-Unknown-Users"] = unknown
    return headers
