"""Serve a challenger to a share of the users and compare by feedback.

An experiment is a tag of the challenger (`moovier.experiments.experiment`), which the service
follows. This module stores nothing else: it computes every metric from the lists and ratings in
the database. The result of an experiment is stored before it is carried out, so that a function
that was killed can be called again.
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
from moovier.registry.tags import parse_object
from moovier.registry.version import CHALLENGER, CHAMPION, Version
from moovier.settings import Settings, load_settings

#: Value of the tag ``gate`` of a version that an experiment promoted.
GATE = "experiment"
PROMOTE, WITHDRAW, STOPPED, NOT_YET, NONE = "promote", "withdraw", "stopped", "not yet", "none"
#: A time after all lists, in seconds since 1970.
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
    """Start an experiment with a challenger; the service follows within seconds.

    ``model``: name, alias or version number; None means the alias ``challenger``. ``share``: of the
    users whom the challenger answers, above 0 and below 1. With ``shadow``, the challenger only
    computes a second list for this share, up to 1, which is the default then. ``window_h`` and
    ``alpha``: as in :class:`Experiment`. A second call with the same arguments changes nothing.
    Returns the result of :func:`status`.

    Raises:
        BadRequest: a number is out of range, the model is the champion, or another experiment runs.
        UnknownModel: the model does not exist.
        RegistryError: there is no champion, or MLflow does not answer.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    champion, holder = registry.alias(CHAMPION), registry.alias(CHALLENGER)
    if champion is None:
        problem = registry.listing().problem(CHAMPION)
        raise RegistryError(problem or "there is no champion yet; run `moovier train` first")
    if model is None and holder is None:
        if problem := registry.listing().problem(CHALLENGER):
            raise RegistryError(problem)
        raise BadRequest("no model is the challenger; name one (`moovier models` lists them)")
    version = registry.resolve(model or CHALLENGER)
    if version.number == champion.number:
        raise BadRequest(
            f"{version.name} (version {version.number}) is the champion itself; name another model"
        )
    experiment = _new_experiment(share=share, shadow=shadow, window_h=window_h, alpha=alpha)
    running = None if holder is None else _experiment_of(holder)
    if holder is not None and running is not None:
        generated = {"id", "salt", "started_at"}
        if holder.number != version.number or (
            running.model_dump(exclude=generated) != experiment.model_dump(exclude=generated)
        ):
            raise BadRequest(
                f"experiment {running.id} runs on {holder.name} (version {holder.number}): end it "
                "first with `moovier experiment stop`"
            )
        return status(settings=settings)
    # Set the tag before the alias, which makes it take effect.
    registry.set_tag(version, TAG, experiment.tag)
    if not registry.set_challenger(version):
        registry.delete_tag(version, TAG)
        raise BadRequest("another experiment has just started; see `moovier experiment status`")
    return status(settings=settings)


def stop(reason: str | None = None, *, settings: Settings | None = None) -> dict[str, Any]:
    """End the experiment, so that the champion answers all users.

    Returns ``decision`` and ``reasons``.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    holder = registry.alias(CHALLENGER)
    if holder is None or TAG not in holder.tags:
        return {"decision": NONE, "reasons": ["no experiment is running"]}
    try:
        experiment = _experiment_of(holder)
    except BadRequest:
        experiment = None  # an invalid tag is deleted, too
    return _end(registry, holder, experiment, STOPPED, [reason or "stopped by hand"])


def status(*, settings: Settings | None = None, now: float | None = None) -> dict[str, Any]:
    """Return the state of the experiment.

    Without one, ``running`` is False and ``last`` has the result of the last experiment or None.
    Otherwise the result has ``id``, ``mode``, ``share``, ``started_at``, ``window_h``, ``alpha``,
    ``champion`` and ``challenger`` (name and version), ``says`` (one or more lines), and

    - for a canary: ``arms`` (numbers of users, of users still waiting, of liked movies and of
      raters, and mean stars of each arm), ``difference`` (``low`` and ``high`` of the liked share),
      ``evidence`` and ``verdict``;
    - for a shadow: ``shadow`` (pairs of lists, overlap, and later liked movies by list).

    ``now``: seconds since 1970, by default the current time.

    Raises:
        BadRequest: the tag is invalid.
        FeedbackUnavailable, RegistryError: the database or MLflow does not answer.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    champion, holder = registry.alias(CHAMPION), registry.alias(CHALLENGER)
    experiment = None if holder is None else _experiment_of(holder)
    if champion is None or holder is None or experiment is None or holder.number == champion.number:
        return {"running": False, "last": _last(registry)}
    state: dict[str, Any] = {
        "running": True,
        **experiment.model_dump(exclude={"salt"}),
        "champion": {"name": champion.name, "version": champion.number},
        "challenger": {"name": holder.name, "version": holder.number},
    }
    key = experiment.key(champion.number, holder.number)
    served, ratings = _read_outcomes(settings, experiment)
    if experiment.mode == SHADOW:
        return state | shadow_status(compare_shadows(served, ratings, experiment=key))
    now_s = int(time.time() if now is None else now)
    outcomes = join_outcomes(
        served, ratings, experiment=key, window_s=experiment.window_s, now=now_s
    )
    return state | canary_status(outcomes, experiment)


def decide(*, settings: Settings | None = None, now: float | None = None) -> dict[str, Any]:
    """Promote the challenger, withdraw it, or wait, depending on the evidence.

    The test is sequential, so this may be called at any time and any number of times. A shadow is
    never promoted, because no user saw its lists. Returns ``decision`` (``promote``, ``withdraw``,
    ``not yet`` or ``none``) and ``reasons``. Raises the same errors as :func:`status`.
    """
    settings = settings or load_settings()
    registry = open_registry(settings)
    if (unfinished := _unfinished(registry)) is not None:
        version, experiment, result = unfinished
        return _end(registry, version, experiment, result["decision"], result["reasons"])
    state = status(settings=settings, now=now)
    if not state["running"]:
        return {"decision": NONE, "reasons": ["no experiment is running"]}
    decision = {"better": PROMOTE, "worse": WITHDRAW, "short": WITHDRAW}.get(state["verdict"])
    if decision is None:
        return {"decision": NOT_YET, "reasons": state["says"]}
    version = registry.resolve(str(state["challenger"]["version"]))
    rival = state["champion"]["version"]
    return _end(registry, version, _experiment_of(version), decision, state["says"], rival)


def _new_experiment(
    *, share: float | None, shadow: bool, window_h: float, alpha: float
) -> Experiment:
    """Return an experiment that starts now.

    Raises:
        BadRequest: a number is missing or out of range.
    """
    if share is None and not shadow:
        raise BadRequest("give the share of users whom the challenger answers, or `shadow`")
    if share is not None and not (0 < share <= 1 if shadow else 0 < share < 1):
        raise BadRequest(
            f"a share of {share:g} leaves nothing to compare; give one above 0 and below 1"
        )
    started_at = time.time()
    values = {
        "id": f"{datetime.fromtimestamp(started_at, UTC):%Y%m%d}-{secrets.token_hex(2)}",
        "mode": SHADOW if shadow else CANARY,
        "share": 1.0 if share is None else share,
        "started_at": int(started_at),
        "salt": secrets.token_hex(8),
        "window_h": window_h,
        "alpha": alpha,
    }
    return Experiment.parse(json.dumps(values))


def _experiment_of(version: Version) -> Experiment | None:
    """Return the version's experiment, or None without one.

    Raises:
        BadRequest: the tag is invalid.
    """
    text = version.tags.get(TAG)
    return Experiment.parse(text) if text else None


def _read_outcomes(
    settings: Settings, experiment: Experiment
) -> tuple[Iterator[ServedList], tuple[StoredRating, ...]]:
    """Return the lists since the start of the experiment, and all ratings."""
    if not database.exists(settings.database):
        return iter(()), ()
    with closing(FeedbackStore.open(settings.database)) as store:
        # Read the ratings last, so that the ratings of every list read before are complete.
        served = list(store.lists(experiment.started_at, _FOREVER))
        return iter(served), store.everything().ratings


def _end(
    registry: Registry,
    version: Version,
    experiment: Experiment | None,
    decision: str,
    reasons: list[str],
    rival: int | None = None,
) -> dict[str, Any]:
    """Store the result of an experiment and carry it out; either may be done already."""
    if experiment is not None and (_result_of(version) or {}).get("id") != experiment.id:
        result = {
            "id": experiment.id,
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
    """Return an experiment whose result was stored but not carried out, or None."""
    champion = registry.alias(CHAMPION)
    for version in registry.versions():
        try:
            experiment = _experiment_of(version)
        except BadRequest:
            continue
        result = _result_of(version)
        if experiment is None or result is None or result.get("id") != experiment.id:
            continue
        if result["decision"] == PROMOTE and (
            champion is None or champion.number not in (result.get("champion"), version.number)
        ):
            # Another model became champion meanwhile; the challenger was not compared with it.
            result = {**result, "decision": STOPPED}
        return version, experiment, result
    return None


def _result_of(version: Version) -> dict[str, Any] | None:
    """Return the stored result of the version's last experiment, or None."""
    result = parse_object(version.tags.get(RESULT_TAG, "")) or {}
    is_complete = (
        isinstance(result.get("id"), str)
        and result.get("decision") in (PROMOTE, WITHDRAW, STOPPED)
        and isinstance(result.get("reasons"), list)
        and all(isinstance(reason, str) for reason in result["reasons"])
        and isinstance(result.get("ended_at", 0), int | float)
    )
    return result if is_complete else None


def _last(registry: Registry) -> dict[str, Any] | None:
    """Return the result of the experiment that ended last, or None."""
    results = [
        {**result, "name": version.name, "version": version.number}
        for version in registry.versions()
        if (result := _result_of(version)) is not None
    ]
    return max(results, key=lambda result: result.get("ended_at", 0), default=None)
