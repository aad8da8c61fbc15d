"""Name a retraining, and record its outcome in MLflow: on the versions and on its parent run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from moovier.jobs import candidates
from moovier.jobs.registration import candidate_id, open_registry, open_tracking, run_url
from moovier.jobs.retrain_plan import RetrainConfig, RetrainPlan
from moovier.registry.client import Registry
from moovier.registry.tracking import NOTE
from moovier.registry.version import GATE, Version
from moovier.settings import Settings, load_settings

#: Most characters of a reason in the name of a run.
_LONGEST_REASON = 60
#: Metrics that logs and assets show.
_SHOWN = ("visitor_ndcg_at_10", "next_visit_ndcg_at_10", "ndcg_at_10", "rmse", "mae")


def run_name(config: RetrainConfig, cause: str, now: datetime | None = None) -> str:
    """Return the name of a retraining's run, such as ``retraining 2026-11-25 03:17, new ratings``.

    The time is in UTC.
    """
    reason = " ".join((config.reason or cause).split())
    if len(reason) > _LONGEST_REASON:
        reason = f"{reason[: _LONGEST_REASON - 1]}…"
    return f"retraining {now or datetime.now(UTC):%Y-%m-%d %H:%M}, {reason}"


def explain(decision: Mapping[str, Any]) -> str:
    """Return why the gate promoted or kept the best model, as Markdown.

    The verdict comes first, then the comparisons as a list.
    """
    *comparisons, verdict = decision["reasons"]
    return "\n".join([verdict, *([""] if comparisons else []), *(f"- {c}" for c in comparisons)])


def note(decision: Mapping[str, Any], run_page: str | None = None) -> str:
    """Return the outcome of a retraining as Markdown, for its run in MLflow and in Airflow.

    ``run_page``: address of the run in MLflow.
    """
    lines = [f"**{decision['name']}**, version {decision['version']}: {explain(decision)}"]
    if decision["stars_reason"]:
        lines.append(f"Rating model: {decision['stars_reason']}")
    if run_page is not None:
        lines.append(f"MLflow: {run_page}")
    return "\n\n".join(lines)


def describe_plan(plan: Mapping[str, Any], *, settings: Settings | None = None) -> str:
    """Return what a retraining will do, for the log."""
    data = plan["data"]
    return (
        f"{data['name']}, hash {data['hash']}: {data['ratings']} ratings, {data['users']} users, "
        f"{data['movies']} movies\n"
        f"{plan['trials']} trials for each of {', '.join(plan['families'])}\n"
        f"MLflow: {run_url(settings or load_settings(), plan['run_id'])}"
    )


def describe_candidates(
    trained: Sequence[Mapping[str, Any]], *, settings: Settings | None = None
) -> str:
    """Return the metrics of trained candidates and their runs in MLflow, for the log."""
    settings = settings or load_settings()
    lines = []
    for candidate in trained:
        card = candidate["card"]
        metrics = ", ".join(
            f"{name} {card['metrics'][name]:.4f}" for name in _SHOWN if name in card["metrics"]
        )
        url = run_url(settings, candidate["run_id"])
        lines.append(f"{card['name']} ({candidate['recipe']['kind']}): {metrics}; MLflow: {url}")
    return "\n".join(lines)


def run_page(plan: Mapping[str, Any], *, settings: Settings | None = None) -> str:
    """Return the address of the retraining's run in MLflow."""
    return run_url(settings or load_settings(), plan["run_id"])


def rejected(decision: Mapping[str, Any], user: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the decision after a person rejected the promotion.

    ``user``: who rejected it, with ``name``, if Airflow knows.
    """
    name = (user or {}).get("name") or "a person"
    return {
        **decision,
        "promote": False,
        "reasons": [*decision["reasons"], f"kept: {name} rejected the promotion"],
    }


def champion_facts(
    plan: Mapping[str, Any], decision: Mapping[str, Any], *, settings: Settings | None = None
) -> dict[str, Any]:
    """Return the facts about a new champion for other DAGs, as JSON values."""
    settings = settings or load_settings()
    version = open_registry(settings).resolve(str(decision["version"]))
    return {
        "name": version.name,
        "version": version.number,
        "data_hash": plan["data"]["hash"],
        "metrics": {name: version.metrics[name] for name in _SHOWN if name in version.metrics},
        "reason": decision["reasons"][-1],
        "mlflow_run": run_url(settings, plan["run_id"]),
    }


def apply_decision(decision: Mapping[str, Any], version: Version, registry: Registry) -> None:
    """Promote or tag one version of the retraining, and write the reasons."""
    if version.number == decision["stars"]:
        registry.set_rating_model(version)
        registry.record_decision(version, "stars", decision["stars_reason"])
    elif version.number != decision["version"]:
        reason = f"kept: {decision['name']} was the best of its retraining"
        registry.record_decision(version, "kept", reason)
    elif decision["promote"]:
        registry.promote(version, explain(decision), gate="promoted")
    else:
        registry.record_decision(version, "kept", explain(decision))


def log_outcome(
    plan: RetrainPlan, decision: Mapping[str, Any], best: Version, settings: Settings
) -> None:
    """Log the best model's metrics and the decision on the parent run.

    The run list then shows which retraining made the better model.
    """
    (winner,) = [
        candidate
        for candidate in candidates.trained_candidates(plan)
        if candidate.recipe.id == candidate_id(best)
    ]
    open_tracking(settings).log(
        plan.run_id,
        params={"best_model": winner.card.name, "best_version": best.number},
        metrics=candidates.record_of_candidate(plan, winner).finite_metrics(),
        tags={GATE: "promoted" if decision["promote"] else "kept", NOTE: note(decision)},
    )
