"""`moovier experiment`: a challenger on a share of the traffic, compared by what people say.

The experiment itself is a tag on the challenger (`moovier.experiments.experiment`), which the
service follows. Nothing is kept here: every figure is made anew from the lists and ratings in
the database.
How an experiment ended is written down first and done afterwards, so that any of these functions
can be killed and run again.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

from moovier.errors import BadRequest, RegistryError
from moovier.experiments.experiment import CANARY, RESULT_TAG, SHADOW, TAG, Experiment
from moovier.experiments.outcomes import compare_shadows, join_outcomes
from moovier.experiments.status import canary_status, shadow_status
from moovier.feedback import database
from moovier.feedback.ratings import StoredRating
from moovier.feedback.served_lists import ServedList
from moovier.feedback.store import FeedbackStore
from moovier.jobs.registration import open_registry
from moovier.registry.client import Registry
from moovier.registry.version import CHALLENGER, CHAMPION, Version
from moovier.settings import Settings, load_settings

#: What the gate is called on a version that an experiment promoted.
GATE = "experiment"
PROMOTE, WITHDRAW, STOPPED, NOT_YET, NONE = "promote", "withdraw", "stopped", "not yet", "none"
_FOREVER = 2**32


def start(
    model: str | None = None,
    *,
    share: float | None = None,
    shadow: bool = False,
    window_h: float = 72.0,
    alpha: float = 0.05,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Let ``model`` (name, alias or version number; None: the alias ``challenger``) challenge the
    champion. The service follows within seconds.

    ``share``: of the people, above 0 and below 1, that the challenger answers, or with ``shadow``
    whose lists it makes a second time (up to 1, which is the default there). ``window_h`` and
    ``alpha``: as in :class:`Experiment`. The same again changes nothing. Returns what
    :func:`status` says.

    Raises:
        BadRequest: a number is out of range, the model is the champion, or another experiment runs.
        UnknownModel: there is no such model.
        RegistryError: there is no champion, or MLflow does not answer.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    champion, holder = registry.alias(CHAMPION), registry.alias(CHALLENGER)
    if champion is None:
        raise RegistryError("there is no champion to challenge yet")
    if model is None and holder is None:
        raise BadRequest("no model is the challenger: name one, `moovier models` lists them")
    version = registry.resolve(model or CHALLENGER)
    if version.number == champion.number:
        raise BadRequest(f"{version.name} (version {version.number}) is the champion itself")
    plan = _planned(share=share, shadow=shadow, window_h=window_h, alpha=alpha)
    running = None if holder is None else _plan_of(holder)
    if holder is not None and running is not None:
        same = {"id", "salt", "started_at"}
        if holder.number != version.number or running.model_dump(exclude=same) != plan.model_dump(
            exclude=same
        ):
            raise BadRequest(
                f"experiment {running.id} runs on {holder.name} (version {holder.number}): end it "
                "first with `moovier experiment stop`"
            )
        return status(settings=settings)
    # The tag first: as soon as the alias stands there, it counts.
    registry.set_tag(version, TAG, plan.tag)
    if not registry.set_challenger(version):
        registry.delete_tag(version, TAG)
        raise BadRequest("another experiment began at this moment; see `moovier experiment status`")
    return status(settings=settings)


def stop(reason: str | None = None, *, settings: Settings | None = None) -> dict[str, Any]:
    """End the experiment: the champion answers everybody. Returns ``{"decision", "reasons"}``."""
    settings = settings or load_settings()
    registry = open_registry(settings)
    holder = registry.alias(CHALLENGER)
    if holder is None or TAG not in holder.tags:
        return {"decision": NONE, "reasons": ["no experiment runs"]}
    try:
        plan = _plan_of(holder)
    except BadRequest:
        plan = None  # what cannot be read can be taken off all the same
    return _end(registry, holder, plan, STOPPED, [reason or "stopped by hand"])


def status(*, settings: Settings | None = None, now: float | None = None) -> dict[str, Any]:
    """How the experiment stands; ``running`` is False, and ``last`` how the last one ended, where
    none runs.

    Otherwise ``id``, ``mode``, ``share``, ``started_at``, ``window_h``, ``alpha``, ``champion`` and
    ``challenger`` (name and version), ``says`` (a line or more), and

    - for a canary ``arms`` (people, those still waiting, likings, raters, mean stars of each),
      ``difference`` (``low`` and ``high`` of the liking share), ``evidence`` and ``verdict``;
    - for a shadow ``shadow``: pairs of lists, overlap, movies liked afterwards by whose list.

    ``now``: seconds since 1970.

    Raises:
        BadRequest: the tag cannot be read.
        FeedbackUnavailable, RegistryError: the database, or MLflow, does not answer.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    champion, holder = registry.alias(CHAMPION), registry.alias(CHALLENGER)
    plan = None if holder is None else _plan_of(holder)
    if champion is None or holder is None or plan is None or holder.number == champion.number:
        return {"running": False, "last": _last(registry)}
    said: dict[str, Any] = {
        "running": True,
        **plan.model_dump(exclude={"salt"}),
        "champion": {"name": champion.name, "version": champion.number},
        "challenger": {"name": holder.name, "version": holder.number},
    }
    key = plan.key(champion.number, holder.number)
    served, ratings = _told(settings, plan)
    if plan.mode == SHADOW:
        return said | shadow_status(compare_shadows(served, ratings, experiment=key))
    moment = int(time.time() if now is None else now)
    people = join_outcomes(served, ratings, experiment=key, window_s=plan.window_s, now=moment)
    return said | canary_status(people, plan)


def decide(*, settings: Settings | None = None, now: float | None = None) -> dict[str, Any]:
    """Promote the challenger, withdraw it, or wait, as the evidence says; may be called at any
    time and as often as one likes.

    A shadow is never promoted: nobody saw its lists. Returns ``{"decision", "reasons"}``, the
    decision ``promote``, ``withdraw``, ``not yet`` or ``none``.

    Raises: as :func:`status`.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    if (unfinished := _unfinished(registry)) is not None:
        version, plan, result = unfinished
        return _end(registry, version, plan, result["decision"], result["reasons"])
    stands = status(settings=settings, now=now)
    if not stands["running"]:
        return {"decision": NONE, "reasons": ["no experiment runs"]}
    decision = {"better": PROMOTE, "worse": WITHDRAW, "short": WITHDRAW}.get(stands["verdict"])
    if decision is None:
        return {"decision": NOT_YET, "reasons": stands["says"]}
    version = registry.resolve(str(stands["challenger"]["version"]))
    rival = stands["champion"]["version"]
    return _end(registry, version, _plan_of(version), decision, stands["says"], rival)


def _planned(*, share: float | None, shadow: bool, window_h: float, alpha: float) -> Experiment:
    if share is None and not shadow:
        raise BadRequest("say which share of the people the challenger is to answer, or `shadow`")
    if share is not None and not (0 < share <= 1 if shadow else 0 < share < 1):
        raise BadRequest(
            f"a share of {share:g} leaves nothing to compare: give one above 0 and below 1"
        )
    moment = time.time()
    values = {
        "id": f"{datetime.fromtimestamp(moment, UTC):%Y%m%d}-{secrets.token_hex(2)}",
        "mode": SHADOW if shadow else CANARY,
        "share": 1.0 if share is None else share,
        "started_at": int(moment),
        "salt": secrets.token_hex(8),
        "window_h": window_h,
        "alpha": alpha,
    }
    return Experiment.parse(json.dumps(values))


def _plan_of(version: Version) -> Experiment | None:
    """
    Raises:
        BadRequest: the tag is there, and cannot be read.
    """
    text = version.tags.get(TAG)
    return Experiment.parse(text) if text else None


def _told(
    settings: Settings, plan: Experiment
) -> tuple[Iterator[ServedList], tuple[StoredRating, ...]]:
    """Lists since the experiment began, and all ratings."""
    if not database.exists(settings.database):
        return iter(()), ()
    with closing(FeedbackStore.open(settings.database)) as store:
        # Ratings last: one of a list that is not among these would not be missed.
        served = list(store.lists(plan.started_at, _FOREVER))
        return iter(served), store.everything().ratings


def _end(
    registry: Registry,
    version: Version,
    plan: Experiment | None,
    decision: str,
    reasons: list[str],
    rival: int | None = None,
) -> dict[str, Any]:
    """Write down how an experiment ended, then do it; either may have been done before."""
    if plan is not None and (_result_of(version) or {}).get("id") != plan.id:
        result = {
            "id": plan.id,
            "decision": decision,
            "reasons": reasons,
            "ended_at": int(time.time()),
            "champion": rival,
        }
        registry.set_tag(version, RESULT_TAG, json.dumps(result))
    if decision == PROMOTE:
        registry.promote(version, "\n".join(reasons), gate=GATE)
    else:
        registry.delete_tag(version, TAG)
    return {"decision": decision, "reasons": reasons}


def _unfinished(registry: Registry) -> tuple[Version, Experiment, dict[str, Any]] | None:
    """An experiment whose end was written down and not done."""
    champion = registry.alias(CHAMPION)
    for version in registry.versions():
        try:
            plan = _plan_of(version)
        except BadRequest:
            continue
        result = _result_of(version)
        if plan is None or result is None or result.get("id") != plan.id:
            continue
        if result["decision"] == PROMOTE and (
            champion is None or champion.number not in (result.get("champion"), version.number)
        ):
            # Somebody else took the title meanwhile: it was not compared with that one.
            result = {**result, "decision": STOPPED}
        return version, plan, result
    return None


def _result_of(version: Version) -> dict[str, Any] | None:
    try:
        result = json.loads(version.tags.get(RESULT_TAG, ""))
    except ValueError:
        return None
    whole = isinstance(result, dict) and {"id", "decision", "reasons"} <= result.keys()
    return result if whole else None


def _last(registry: Registry) -> dict[str, Any] | None:
    """How the experiment that ended last did."""
    found = [
        {**result, "name": version.name, "version": version.number}
        for version in registry.versions()
        if (result := _result_of(version)) is not None
    ]
    return max(found, key=lambda result: result.get("ended_at", 0), default=None)
