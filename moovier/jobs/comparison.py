"""Compare candidates with the champion, popularity and the rating model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from moovier.jobs import candidates
from moovier.jobs.candidates import Candidate
from moovier.jobs.registration import candidate_id
from moovier.jobs.retrain_plan import RetrainPlan
from moovier.registry.gate import Decision, decide
from moovier.registry.version import Version
from moovier.settings import Settings

OnProgress = Callable[[str], None]


def compare_with_champion(
    plan: RetrainPlan,
    candidate: Candidate,
    champion: Version | None,
    settings: Settings,
    on_progress: OnProgress,
) -> Decision:
    """Decide whether a ranking candidate becomes champion, on the plan's hold-out."""
    rival, notes = None, []
    if champion is not None:
        rival = candidates.result_of_champion(plan, champion, settings, on_progress)
        if rival is None:
            notes = [f"{champion.name} can no longer be trained; comparison skipped"]
    decision = decide(
        candidates.result_of(plan, candidate),
        rival,
        candidates.result_of_popularity(plan),
        knows_more=champion is not None and champion.tags.get("data_hash") != plan.data.hash,
        seed=plan.seed,
    )
    return Decision(decision.promote, [*notes, *decision.reasons])


def better_rating_model(
    plan: RetrainPlan, current: Version | None, raters: Sequence[Version]
) -> tuple[Version | None, str]:
    """Return the rating model that replaces ``current``, or None, and the reason.

    If ``current`` was trained on other data, the best new one replaces it, because the current one
    does not know the newest users and movies.
    """
    if not raters:
        return None, "no rating model was trained"
    trained = {candidate.recipe.id: candidate for candidate in candidates.trained_candidates(plan)}
    best = min(
        raters,
        key=lambda version: trained[candidate_id(version)].validation_mae or float("inf"),
    )
    rmse = best.metrics["rmse"]
    if current is None:
        return best, f"stars: RMSE {rmse:.4f}, the first model that predicts them"
    current_rmse = current.metrics.get("rmse")
    if current_rmse is None or current.tags.get("hold_out") != plan.hold_out:
        return best, f"stars: RMSE {rmse:.4f}; {current.name} was trained on other data"
    if rmse < current_rmse:
        return best, f"stars: RMSE {rmse:.4f} against {current_rmse:.4f} of {current.name}"
    return None, f"kept: RMSE {rmse:.4f} against {current_rmse:.4f} of {current.name}"
