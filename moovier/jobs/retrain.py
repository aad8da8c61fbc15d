"""The stages of a retraining, in the order of `dags/moovier_retrain.py`.

Plans, candidates and decisions are passed as JSON values, so that Airflow can store them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from moovier.errors import RegistryError, StaleResult
from moovier.jobs import candidates, ingest, recent_baselines, recipes, shared_statistics, tuning
from moovier.jobs.artifact_exchange import ArtifactExchange, finished
from moovier.jobs.candidates import Candidate
from moovier.jobs.comparison import better_rating_model, compare_with_champion
from moovier.jobs.dataset import keep_dataset
from moovier.jobs.ingest import Pulled
from moovier.jobs.registration import candidate_id, open_registry, open_tracking
from moovier.jobs.retrain_plan import (
    RetrainConfig,
    RetrainPlan,
    data_folder,
    folder_of,
    hold_out,
    key_of,
    plan_file,
)
from moovier.jobs.retraining_outcome import apply_decision, log_outcome, run_name
from moovier.jobs.retraining_report import log_report
from moovier.jobs.stage_results import DECISION, parse_result, with_keys
from moovier.json_files import read_json, write_json
from moovier.registry.gate import Decision
from moovier.registry.tracking import Tracking
from moovier.registry.version import CHAMPION, STARS, Version
from moovier.settings import Settings, load_settings
from moovier.training import budget

OnProgress = Callable[[str], None]
#: The tag ``part`` of the parent run.
_PARENT = "retraining"


def prepare(
    config: RetrainConfig | Mapping[str, Any],
    *,
    key: str | None = None,
    only_new_data: bool = False,
    cause: str = "by hand",
    settings: Settings | None = None,
) -> dict[str, Any] | None:
    """Fetch and validate the data, open the parent run, and return the plan as JSON.

    ``key`` identifies the retraining: a call with the same key continues it. With ``only_new_data``
    the result is None if the champion was trained on the same data, unless the configuration has
    ``force``. ``cause``: what started it, in the name of the run; the configuration's reason goes
    before.

    Raises:
        BadRequest: the configuration is invalid.
        DataError: the data set is unavailable or invalid.
        RegistryUnavailable: MLflow does not answer.
    """
    settings = settings or load_settings()
    config = RetrainConfig.of(config)
    # Before anything is fetched, or found to be unavailable.
    config.trained_families(settings.families)
    ingest.check_choice(config.data, settings)
    registry = open_registry(settings)
    listing = registry.listing()
    # Even if the alias names no usable version, this need not be the first retraining.
    champion = listing.last_champion()
    pulled = ingest.pull(config.data, settings=settings)
    ingest.check_sample(pulled, {} if champion is None else champion.tags, config.data, settings)
    current = listing.holder(CHAMPION)
    is_known = current is not None and current.tags.get("data_hash") == pulled["hash"]
    if only_new_data and is_known and not config.force:
        return None

    tracking = open_tracking(settings)

    def is_taken(key: str) -> bool:
        """Return whether it is finished, unreadable, or has its studies on another machine."""
        if not _can_read_plan(settings, key):
            return True
        run_id = tracking.find(retraining=key, part=_PARENT)
        return run_id is not None and (
            finished(settings, run_id)
            or (settings.optuna_storage is None and not folder_of(settings, key).exists())
        )

    key = key_of(settings, config, pulled["hash"], key, is_taken=is_taken)
    folder = folder_of(settings, key)
    parent_run = tracking.find(retraining=key, part=_PARENT)
    if parent_run is not None:
        exchange = ArtifactExchange(settings, key, parent_run)
        if (result := exchange.done()) is not None:
            return dict(result["plan"])
        exchange.fetch_prepared()
    name = run_name(config, cause)
    plan = _open_plan(config, pulled, folder, champion, tracking, settings, name)
    ArtifactExchange.of(plan, settings).publish_prepared()
    return plan.to_json()


def _open_plan(
    config: RetrainConfig,
    pulled: Pulled,
    folder: Path,
    champion: Version | None,
    tracking: Tracking,
    settings: Settings,
    name: str,
) -> RetrainPlan:
    """Return the plan in ``folder``, or write a new one; its parent run is running.

    ``name``: that of the parent run, if it is created.
    """
    stored_plan = read_json(plan_file(folder))
    # Invalid data must be found before a run is opened.
    data = None if stored_plan else keep_dataset(data_folder(folder), settings, pulled)
    run_id = tracking.start(name, retraining=folder.name, part=_PARENT)
    if data is None:
        return RetrainPlan.from_json({**stored_plan, "run_id": run_id}, settings)
    plan = RetrainPlan.of(
        config,
        settings,
        folder=folder,
        run_id=run_id,
        data=data.facts,
        first=not tracking.registry.listing().had_champion,
        recipe=(
            None
            if champion is None
            else recipes.champion_recipe(champion, hold_out(data.facts), tracking.registry.card)
        ),
        frequent=budget.frequent(data.ratings),
    )
    candidates.evaluate_popularity(plan, data, tracking)
    recent_baselines.evaluate_recent(plan, data)
    tracking.log(
        run_id,
        params=config.model_dump(mode="json", exclude={"reason"}),
        tags={"reason": config.reason} if config.reason else None,
    )
    tracking.log_data(run_id, data.facts)
    popular_days = int(candidates.report_of_popularity(plan).params.get("days", 0))
    shared_statistics.prepare(plan, data, settings)
    tuning.create_studies(plan, settings, popular_days=popular_days)
    write_json(plan_file(folder), plan.to_json())
    return plan


def tune(
    plan_json: Mapping[str, Any], family: str, worker: int, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Run trials of the family's study until the plan's trials are finished.

    Returns ``family``, ``trials`` (the number of finished trials) and ``best``, the best
    hyper-parameters so far, or None.
    """
    settings = settings or load_settings()
    plan = RetrainPlan.from_json(plan_json, settings)
    exchange = ArtifactExchange.of(plan, settings)
    if exchange.done() is not None:
        return {"family": family, "trials": plan.trials_of(family), "best": None}
    _fetch_prepared(exchange)
    return tuning.run_worker(plan, family, worker, settings)


def train(
    plan_json: Mapping[str, Any],
    family: str,
    *,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Train and evaluate the family's candidates; return each as JSON.

    Candidates that are already finished are reused.
    """
    settings = settings or load_settings()
    plan = RetrainPlan.from_json(plan_json, settings)
    exchange = ArtifactExchange.of(plan, settings)
    if (result := exchange.done()) is not None:
        return [
            candidate
            for candidate in result["candidates"]
            if candidate["recipe"]["family"] == family
        ]
    _fetch_prepared(exchange)
    tuned = tuning.best_params(plan, family, settings)
    return [
        candidates.train_candidate(plan, recipe, settings, on_progress or _silent).model_dump(
            mode="json"
        )
        for recipe in recipes.family_recipes(plan, family, tuned)
    ]


def register(
    plan_json: Mapping[str, Any],
    trained: Sequence[Mapping[str, Any]],
    *,
    settings: Settings | None = None,
) -> list[int]:
    """Register each trained candidate as a version, once; return the version numbers.

    The best candidate is registered last: a name means its newest version, so a name that two
    candidates share means the better one.
    """
    settings = settings or load_settings()
    plan = RetrainPlan.from_json(plan_json, settings)
    tracking = open_tracking(settings)
    best_last = sorted(
        (parse_result(Candidate, candidate, "train") for candidate in trained),
        key=lambda candidate: candidate.validation_ndcg,
    )
    numbers = []
    for candidate in best_last:
        version = tracking.register(
            candidates.model_folder(plan, candidate.recipe.id),
            candidate.card.name,
            run_id=candidate.run_id,
            key=candidates.key_of(plan, candidate.recipe),
            record=candidates.record_of_candidate(plan, candidate),
            data=plan.data,
        )
        numbers.append(version.number)
    return numbers


def gate(
    plan_json: Mapping[str, Any],
    versions: Sequence[int],
    *,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Compare the best of ``versions`` with the champion and with popularity.

    The ranking model with the best validation objective becomes ``challenger``. The best rating
    model is compared with the current rating model. The decision is stored: another call returns
    the same, even after the promotion.
    """
    settings = settings or load_settings()
    plan = RetrainPlan.from_json(plan_json, settings)
    exchange = ArtifactExchange.of(plan, settings)
    if (stored_decision := exchange.decision()) is not None:
        return with_keys(stored_decision, DECISION, "gate")
    _fetch_prepared(exchange)
    registry = open_registry(settings)
    registered = [registry.resolve(str(number)) for number in versions]
    candidates.fetch_summaries(plan, registered, registry)
    trained = {candidate.recipe.id: candidate for candidate in candidates.trained_candidates(plan)}

    def candidate_of(version: Version) -> Candidate:
        return trained[candidate_id(version)]

    ranking = [version for version in registered if candidate_of(version).ranks]
    best = max(ranking or registered, key=lambda version: candidate_of(version).validation_ndcg)
    listing = registry.listing()
    champion = listing.last_champion()
    if ranking:
        decision = compare_with_champion(
            plan, candidate_of(best), champion, settings, on_progress or _silent
        )
    else:
        reason = f"kept: {best.name} predicts stars; a champion is a model that ranks"
        decision = Decision(False, [reason])
    notes = []
    if problem := listing.problem(CHAMPION):
        compared = "nothing" if champion is None else champion.title
        notes.append(f"{problem}; compared with {compared}")
    if not registry.set_challenger(best):
        notes.append("challenger unchanged: an experiment runs on it")
    raters = [version for version in registered if "rmse" in version.metrics]
    rating_model, stars_reason = better_rating_model(plan, registry.alias(STARS), raters)
    result = {
        "promote": decision.promote,
        "reasons": [*notes, *decision.reasons],
        "stars": None if rating_model is None else rating_model.number,
        "stars_reason": stars_reason,
        "version": best.number,
        "name": best.name,
        "kind": candidate_of(best).recipe.kind,
        "compared_with": None if champion is None else champion.number,
        "versions": [version.number for version in registered],
    }
    exchange.save_decision(result)
    return result


def promote(
    plan_json: Mapping[str, Any],
    decision: Mapping[str, Any],
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Carry out the gate's decision, tag the versions, and write the report.

    Returns the decision with ``champion``: the current champion's display name, or None.
    """
    settings = settings or load_settings()
    plan = RetrainPlan.from_json(plan_json, settings)
    decision = with_keys(decision, DECISION, "gate")
    exchange = ArtifactExchange.of(plan, settings)
    if (result := exchange.done()) is not None:
        exchange.delete_large_files()
        return dict(result["decision"])
    _fetch_prepared(exchange)
    registry = open_registry(settings)
    versions = [registry.resolve(str(number)) for number in decision["versions"]]
    candidates.fetch_summaries(plan, versions, registry)
    for version in versions:
        apply_decision(decision, version, registry)
    champion = registry.alias(CHAMPION)
    decision = {**decision, "champion": None if champion is None else champion.name}
    (best,) = [version for version in versions if version.number == decision["version"]]
    log_outcome(plan, decision, best, settings)
    rival = decision["compared_with"]
    log_report(plan, decision, None if rival is None else registry.resolve(str(rival)), settings)
    trained = [
        candidate.model_dump(mode="json") for candidate in candidates.trained_candidates(plan)
    ]
    open_tracking(settings).finish(plan.run_id)
    exchange.finish({"decision": decision, "candidates": trained, "plan": plan.to_json()})
    exchange.delete_large_files()
    return decision


def retrain_all(
    config: RetrainConfig | Mapping[str, Any],
    on_progress: OnProgress,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Run all stages in this process; return the result of `promote`."""
    settings = settings or load_settings()
    plan = tune_all(config, on_progress, settings=settings)
    trained = [
        candidate
        for family in plan["families"]
        for candidate in train(plan, family, settings=settings, on_progress=on_progress)
    ]
    on_progress(f"registering {len(trained)} models")
    versions = register(plan, trained, settings=settings)
    decision = gate(plan, versions, settings=settings, on_progress=on_progress)
    return promote(plan, decision, settings=settings)


def tune_all(
    config: RetrainConfig | Mapping[str, Any],
    on_progress: OnProgress,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Run the stages up to tuning and return the plan.

    :func:`retrain_all` with the same configuration continues from there.
    """
    settings = settings or load_settings()
    plan = prepare(config, settings=settings)
    assert plan is not None  # only_new_data is False
    facts = plan["data"]
    synthetic = " (SYNTHETIC ratings)" if facts["synthetic"] else ""
    on_progress(f"{facts['name']}{synthetic}: {facts['ratings']} ratings, retraining {plan['key']}")
    for work in plan["work"]:
        on_progress(f"tuning {work['family']}")
        result = tune(plan, **work, settings=settings)
        on_progress(f"tuned {work['family']}: {result['trials']} trials, best {result['best']}")
    return plan


def _fetch_prepared(exchange: ArtifactExchange) -> None:
    """Fetch the output of `prepare`.

    Raises:
        RegistryError: `prepare` did not finish.
    """
    if not exchange.fetch_prepared():
        raise RegistryError(
            f"the output of `prepare` is neither in {exchange.folder} nor in MLflow; run `prepare` "
            "again"
        )


def _can_read_plan(settings: Settings, key: str) -> bool:
    """Return whether this machine has no plan of the retraining, or one that can be continued."""
    if (stored_plan := read_json(plan_file(folder_of(settings, key)))) is None:
        return True
    try:
        RetrainPlan.from_json(stored_plan, settings)
    except StaleResult:
        return False
    return True


def _silent(_text: str) -> None:
    """Report no progress."""
