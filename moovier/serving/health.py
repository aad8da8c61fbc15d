"""The health of the service: whether it is ready, and a sentence for each problem.

Every sentence is public: it contains no address, path or stack trace. The log has the details.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from moovier.feedback.cache import FeedbackCache
from moovier.serving.bundle_loader import LoadedModel, RejectedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_store import ModelStore
from moovier.tmdb.movie_details import Details

_ADDRESS_OR_PATH = re.compile(r"[\w+.-]+://\S+|(?<![\w/])/[\w.~%-][^\s'\",;)]*")
_MAX_REASON_LENGTH = 200


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the service.

    ``ready`` says whether a model can answer. ``degraded`` has a sentence for each problem, also
    while the service is ready.
    """

    ready: bool
    champion: LoadedModel | None
    degraded: list[str]


def health_of(context: ServingContext | None) -> Health:
    """Return the health of a service; ``context`` is None before the start is complete."""
    if context is None:
        return Health(ready=False, champion=None, degraded=["the service is starting"])
    model_store = context.model_store
    return Health(
        ready=model_store.loaded(None) is not None,
        champion=model_store.champion,
        degraded=[
            *_registry_problems(model_store),
            *_champion_problems(model_store),
            *_rating_model_problems(model_store),
            *_experiment_problems(model_store),
            *_feedback_problems(context.feedback),
            *_details_problems(context.details),
        ],
    )


def describe_rejection(rejected: RejectedModel) -> str:
    """Return which version was rejected and why, as a public sentence part."""
    reason = _redact(rejected.reason)
    return f"{rejected.name} (version {rejected.number}) was rejected: {reason}"


def _registry_problems(model_store: ModelStore) -> list[str]:
    error = model_store.registry_error
    if error is None:
        return []
    reason = "MLflow does not answer" if model_store.registry_unavailable else _redact(error)
    return [
        f"the registry cannot be read ({reason}): loaded models keep answering, promotions and "
        "other models have to wait"
    ]


def _champion_problems(model_store: ModelStore) -> list[str]:
    champion, rejected = model_store.champion, model_store.champion_rejected
    if rejected is not None:
        answering = (
            "no other model can answer"
            if champion is None
            else f"{champion.name} (version {champion.number}) keeps answering"
        )
        return [f"the champion {describe_rejection(rejected)}; {answering}"]
    if champion is not None:
        return []
    if model_store.loaded(None) is None:
        return ["there is no champion and no other model: the first retraining makes one"]
    return ["there is no champion yet: every user gets popular movies"]


def _rating_model_problems(model_store: ModelStore) -> list[str]:
    stars, rejected = model_store.stars, model_store.stars_rejected
    effect = "lists have no stars" if stars is None else "the previous one keeps answering"
    if rejected is not None:
        return [f"the rating model {describe_rejection(rejected)}; {effect}"]
    return [f"there is no rating model: {effect}"] if stars is None else []


def _experiment_problems(model_store: ModelStore) -> list[str]:
    rejected = model_store.experiment_rejected
    if rejected is None:
        return []
    return [
        f"the experiment's challenger {describe_rejection(rejected)}; "
        "the champion answers every user"
    ]


def _feedback_problems(feedback: FeedbackCache) -> list[str]:
    if feedback.trouble is None:
        return []
    earlier = "earlier ratings are unknown" if feedback.empty else "earlier ratings still count"
    return [f"the feedback database cannot be used: new ratings are refused, {earlier}"]


def _details_problems(details: Details) -> list[str]:
    if details.tmdb is None or details.usable:
        return []
    return ["TMDB requests are paused after failures: details come from cache and catalogue"]


def _redact(reason: str) -> str:
    return _ADDRESS_OR_PATH.sub("…", reason.partition("\n")[0])[:_MAX_REASON_LENGTH]
