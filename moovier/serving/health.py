"""The health of the service: whether it is ready, and a sentence for each problem.

Every sentence is public: it contains no address, path or stack trace. The log has the details.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from moovier.feedback.cache import FeedbackCache
from moovier.registry.listing import Listing
from moovier.registry.tags import is_object
from moovier.registry.version import CHALLENGER, CHAMPION, MONITORING, PREVIOUS, STARS
from moovier.serving.bundle_loader import LoadedModel, RejectedModel
from moovier.serving.context import ServingContext
from moovier.serving.model_store import ModelStore
from moovier.tmdb.movie_details import Details

_ADDRESS_OR_PATH = re.compile(r"[\w+.-]+://\S+|(?<![\w/])/[\w.~%-][^\s'\",;)]*")
_MAX_REASON_LENGTH = 200
#: Most versions with unreadable tags that are named.
_MAX_VERSIONS = 5


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
            *_version_problems(model_store),
            *_disk_problems(model_store),
            *_feedback_problems(context.feedback),
            *_details_problems(context.details),
        ],
    )


def describe_rejection(rejected: RejectedModel) -> str:
    """Return which version was rejected and why, as a public sentence part."""
    return f"{rejected.title} was rejected: {_redact(rejected.reason)}"


def unreadable_versions(listing: Listing) -> list[str]:
    """Return a sentence for each version with tags that cannot be read, newest first."""
    versions = sorted((*listing.versions, *listing.unusable), key=lambda v: -v.number)
    return [
        f"{version.title} is {'unusable' if version.unusable else 'partly unreadable'}: "
        f"{_redact(version.unreadable)}"
        for version in versions
        if version.unreadable
    ]


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
        if not model_store.known.is_read or model_store.listing.holder(CHAMPION) is not None:
            return []
        problem = model_store.listing.problem(CHAMPION) or "no version has the alias 'champion'"
        return [
            f"{problem}; {champion.name} (version {champion.number}) keeps answering: promote a "
            "model, or run `moovier rollback`"
        ]
    if model_store.loaded(None) is None:
        return ["there is no champion and no other model: the first retraining makes one"]
    return ["there is no champion yet: every user gets popular movies"]


def _rating_model_problems(model_store: ModelStore) -> list[str]:
    champion = model_store.champion
    if champion is not None and not champion.recommender.bundle.card.data.stars:
        return ["the data set has events and no stars: lists have no stars"]
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
        f"the challenger {describe_rejection(rejected)}; no experiment can run, the champion "
        "answers every user"
    ]


def _version_problems(model_store: ModelStore) -> list[str]:
    """Return sentences for the versions and aliases that no other sentence names."""
    listing = model_store.listing
    named = {
        version.number
        for alias in (CHAMPION, STARS, CHALLENGER)
        if (version := listing.unusable_holder(alias)) is not None
    }
    others = replace(listing, unusable=tuple(v for v in listing.unusable if v.number not in named))
    problems = unreadable_versions(others)
    if len(problems) > _MAX_VERSIONS:
        problems[_MAX_VERSIONS:] = [
            f"{len(problems) - _MAX_VERSIONS} more versions are unusable or partly unreadable: "
            "`moovier models` lists them"
        ]
    monitoring = model_store.model_tags.get(MONITORING)
    if monitoring and not is_object(monitoring):
        problems.append(
            f"the tag `{MONITORING}` of the registered model is not a JSON object: the last "
            "monitoring result is unknown"
        )
    if previous := listing.problem(PREVIOUS):
        problems.append(f"{previous}; `moovier rollback` cannot use it")
    return problems


def _disk_problems(model_store: ModelStore) -> list[str]:
    error = model_store.save_error
    if error is None:
        return []
    return [
        f"the served models cannot be saved on the disk ({_redact(error)}): after a restart "
        "without MLflow no model can answer"
    ]


def _feedback_problems(feedback: FeedbackCache) -> list[str]:
    if feedback.trouble is None:
        return _unreadable_rows(feedback.unreadable)
    earlier = "earlier ratings are unknown" if feedback.empty else "earlier ratings still count"
    return [f"the feedback database cannot be used: new ratings are refused, {earlier}"]


def _unreadable_rows(rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    more = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return [f"a row of the feedback database{more} cannot be read and does not count: {rows[0]}"]


def _details_problems(details: Details) -> list[str]:
    if details.tmdb is None or details.usable:
        return []
    return ["TMDB requests are paused after failures: details come from cache and catalogue"]


def _redact(reason: str | None) -> str:
    return _ADDRESS_OR_PATH.sub("…", (reason or "").partition("\n")[0])[:_MAX_REASON_LENGTH]
