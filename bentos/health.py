"""What `/readyz` says: whether there is a model to answer with, and what does not go as it should.

Every sentence can be shown to anybody: no address, path or stack trace; the log has the rest.
"""

from __future__ import annotations

import re
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from bentos.schemas import ChampionShown, Health
from moovier.feedback.cache import FeedbackCache
from moovier.serving.bundle_loader import RejectedModel
from moovier.serving.model_store import ModelStore
from moovier.tmdb.movie_details import Details

PROBES = ("/livez", "/readyz")
_ADDRESS_OR_PATH = re.compile(r"[\w+.-]+://\S+|(?<![\w/])/[\w.~%-][^\s'\",;)]*")
_LONGEST_REASON = 200


class Probes:
    """In front of all that BentoML builds around ``api``: BentoML has routes of its own at
    ``PROBES``, which say no more than a status."""

    def __init__(self, app: ASGIApp, api: FastAPI) -> None:
        self._inner = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and scope["path"] in PROBES
        await (self._api if ours else self._inner)(scope, receive, send)


def health(state: Any) -> Health:
    """``state``: the application's; it may lack everything before the start."""
    model_store: ModelStore | None = getattr(state, "model_store", None)
    if model_store is None:
        return Health(ready=False, champion=None, degraded=["the service is starting"])
    champion = model_store.champion
    return Health(
        ready=model_store.loaded(None) is not None,
        champion=champion and ChampionShown(name=champion.name, version=champion.number),
        degraded=[
            *_of_models(model_store),
            *_of_feedback(state.feedback),
            *_of_details(state.details),
        ],
    )


def _of_models(model_store: ModelStore) -> list[str]:
    found = []
    if model_store.trouble is not None:
        reason = "MLflow does not answer" if model_store.away else _harmless(model_store.trouble)
        found.append(
            f"the registry cannot be followed ({reason}): what is loaded goes on answering, "
            "promotions and other models have to wait"
        )
    if model_store.refused is not None:
        champion = model_store.champion
        stays = (
            "no model is there to answer instead"
            if champion is None
            else f"{champion.name} (version {champion.number}) goes on answering"
        )
        found.append(f"the champion {told(model_store.refused)}; {stays}")
    elif model_store.champion is None:
        stand_in = model_store.loaded(None)
        found.append(
            "there is no champion and no model at all: the first retraining makes one"
            if stand_in is None
            else "there is no champion yet: everybody gets what is popular"
        )
    without = "lists have no stars" if model_store.stars is None else "the last one goes on"
    if model_store.stars_refused is not None:
        found.append(f"the model of the stars {told(model_store.stars_refused)}; {without}")
    elif model_store.stars is None:
        found.append(f"there is no model of the stars: {without}")
    if model_store.trial_refused is not None:
        found.append(
            f"the experiment's challenger {told(model_store.trial_refused)}; "
            "the champion answers everybody"
        )
    return found


def _of_feedback(feedback: FeedbackCache) -> list[str]:
    if feedback.trouble is None:
        return []
    known = "those given before are not known" if feedback.empty else "those given before count"
    return [f"the database of feedback cannot be used: new ratings are refused, {known}"]


def _of_details(details: Details) -> list[str]:
    if details.tmdb is None or details.usable:
        return []
    return ["TMDB is left alone for a while after failures: details come from cache and catalogue"]


def told(refused: RejectedModel) -> str:
    """Which version was refused, and why, fit to be shown to anybody."""
    reason = _harmless(refused.reason)
    return f"{refused.name} (version {refused.number}) was refused: {reason}"


def _harmless(reason: str) -> str:
    return _ADDRESS_OR_PATH.sub("…", reason.partition("\n")[0])[:_LONGEST_REASON]
