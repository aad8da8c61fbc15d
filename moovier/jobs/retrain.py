"""The stages of a retraining, one function each: see `dags/moovier_retrain.py` for their order.

Plans, candidates and decisions are plain dictionaries, so that Airflow can hand them on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from moovier.errors import RegistryError
from moovier.jobs import candidates, ingest, tuning
from moovier.jobs.artifact_exchange import ArtifactExchange, finished
from moovier.jobs.candidates import Candidate
from moovier.jobs.dataset import keep_dataset
from moovier.jobs.registration import open_registry, open_tracking, tags_of
from moovier.jobs.retrain_plan import (
    Plan,
    RetrainConfig,
    data_folder,
    folder_of,
    hold_out,
    key_of,
    plan_file,
    read_json,
    write_json,
)
from moovier.jobs.retraining_report import log_page
from moovier.registry.gate import Decision, decide
from moovier.registry.version import CHAMPION, STARS, Version
from moovier.settings import Settings, load_settings

OnProgress = Callable[[str], None]
#: What the parent run is in its retraining.
_PARENT = "retraining"


def prepare(
    config: RetrainConfig | Mapping[str, Any],
    *,
    key: str | None = None,
    only_new_data: bool = False,
    settings: Settings | None = None,
) -> dict[str, Any] | None:
    """Fetch and check the data, open the parent run, and lay out the work: the plan.

    ``key`` names the retraining: the same key goes on where it was left. With
    ``only_new_data`` the answer is None when the champion was trained on the same data, unless
    the configuration forces it.

    Raises:
        BadRequest: the configuration makes no sense.
        DataError: the data set cannot be had or must not be used.
        RegistryUnavailable: MLflow does not answer.
    """
    settings = settings or load_settings()
    config = RetrainConfig.of(config)
    config.learning()  # refused before anything is fetched
    registry = open_registry(settings)
    champion = registry.alias(CHAMPION)
    pulled = ingest.pull(config.data, settings=settings)
    known = champion is not None and champion.tags.get("data_hash") == pulled["hash"]
    if only_new_data and known and not config.force:
        return None

    tracking = open_tracking(settings)

    def taken(key: str) -> bool:
        """Whether it ended elsewhere, or is under way where nobody here sees its studies."""
        run_id = tracking.find(retraining=key, part=_PARENT)
        return run_id is not None and (
            finished(settings, run_id)
            or (settings.optuna_storage is None and not folder_of(settings, key).exists())
        )

    key = key_of(settings, config, pulled["hash"], key, taken=taken)
    folder = folder_of(settings, key)
    there = tracking.find(retraining=key, part=_PARENT)
    if there is not None:
        exchange = ArtifactExchange(settings, key, there)
        if (done := exchange.done()) is not None:
            return dict(done["plan"])
        exchange.prepared()
    laid_out = read_json(plan_file(folder))
    # Data that must not be used are found before a run is opened.
    data = None if laid_out else keep_dataset(data_folder(folder), settings, pulled)
    run_id = tracking.start(f"retraining {key}", retraining=key, part=_PARENT)
    if data is None:
        plan = Plan.from_json({**laid_out, "run_id": run_id}, settings)
    else:
        plan = Plan.of(
            config,
            settings,
            folder=folder,
            run_id=run_id,
            data=data.facts,
            first=champion is None,
            recipe=(
                None if champion is None else candidates.recipe_of(champion, hold_out(data.facts))
            ),
        )
        candidates.evaluate_popularity(plan, data, tracking)
        tracking.log(
            run_id,
            params=config.model_dump(mode="json", exclude={"reason"}),
            tags={"reason": config.reason} if config.reason else None,
        )
        tracking.log_data(run_id, data.facts)
        tuning.create_studies(plan, settings)
        write_json(plan_file(folder), plan.to_json())
    ArtifactExchange.of(plan, settings).hand_on_prepared()
    return plan.to_json()


def tune(
    plan: Mapping[str, Any], family: str, worker: int, *, settings: Settings | None = None
) -> dict[str, Any]:
    """Work on the family's study until it has the plan's trials, all workers together.

    Returns the family, the number of finished trials and the best value so far.
    """
    settings = settings or load_settings()
    whole = Plan.from_json(plan, settings)
    exchange = ArtifactExchange.of(whole, settings)
    if exchange.done() is not None:
        return {"family": family, "trials": whole.trials, "best": None}
    _bring_prepared(exchange)
    return tuning.run_worker(whole, family, worker, settings)


def train(
    plan: Mapping[str, Any],
    family: str,
    *,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> list[dict[str, Any]]:
    """Train and evaluate the family's candidates; each one's facts. Those there are are kept."""
    settings = settings or load_settings()
    whole = Plan.from_json(plan, settings)
    exchange = ArtifactExchange.of(whole, settings)
    if (done := exchange.done()) is not None:
        return [one for one in done["candidates"] if one["recipe"]["family"] == family]
    _bring_prepared(exchange)
    return [
        candidates.train_candidate(whole, recipe, settings, on_progress or _silent).model_dump(
            mode="json"
        )
        for recipe in candidates.recipes(whole, family, tuning.best_params(whole, family, settings))
    ]


def register(
    plan: Mapping[str, Any],
    trained: Sequence[Mapping[str, Any]],
    *,
    settings: Settings | None = None,
) -> list[int]:
    """Make a version of each trained candidate, once, however often it runs; their numbers.

    Best last: a name means its newest version, so where two candidates share one it means the
    better of them.
    """
    settings = settings or load_settings()
    whole = Plan.from_json(plan, settings)
    tracking = open_tracking(settings)
    numbers = []
    for one in sorted(map(Candidate.model_validate, trained), key=lambda one: one.validation_ndcg):
        version = tracking.register(
            candidates.model_folder(whole, one.recipe.id),
            one.card.name,
            run_id=one.run_id,
            key=candidates.key_of(whole, one.recipe),
            tags=tags_of(
                one.card,
                {
                    "retraining": whole.key,
                    "candidate": one.recipe.id,
                    "recipe": one.recipe.kind,
                    "hold_out": whole.hold_out,
                },
            ),
        )
        numbers.append(version.number)
    return numbers


def gate(
    plan: Mapping[str, Any],
    versions: Sequence[int],
    *,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> dict[str, Any]:
    """Compare the best of ``versions`` with the champion and with popularity, on one hold-out.

    The ranking model with the best validation objective becomes ``challenger``; the best rating
    model is compared with the one that predicts stars now. The decision is stored: another call,
    also after the promotion, returns the same.
    """
    settings = settings or load_settings()
    whole = Plan.from_json(plan, settings)
    exchange = ArtifactExchange.of(whole, settings)
    if (there := exchange.decision()) is not None:
        return there
    _bring_prepared(exchange)
    registry = open_registry(settings)
    registered = [registry.resolve(str(number)) for number in versions]
    candidates.fetch_summaries(whole, registered, registry)
    trained = {one.recipe.id: one for one in candidates.kept(whole)}

    def of(version: Version) -> Candidate:
        return trained[version.tags["candidate"]]

    ranking = [version for version in registered if of(version).ranks]
    chosen = max(ranking or registered, key=lambda version: of(version).validation_ndcg)
    champion = registry.alias(CHAMPION)
    if ranking:
        decision = _compare(whole, of(chosen), champion, settings, on_progress or _silent)
    else:
        reason = f"kept: {chosen.name} predicts stars; a champion is a model that ranks"
        decision = Decision(False, [reason])
    note = []
    if not registry.set_challenger(chosen):
        note = ["challenger unchanged: an experiment runs on it"]
    raters = [version for version in registered if "rmse" in version.metrics]
    stars, stars_reason = _better_at_stars(whole, registry.alias(STARS), raters)
    said = {
        "promote": decision.promote,
        "reasons": [*note, *decision.reasons],
        "stars": None if stars is None else stars.number,
        "stars_reason": stars_reason,
        "version": chosen.number,
        "name": chosen.name,
        "kind": of(chosen).recipe.kind,
        "compared_with": None if champion is None else champion.number,
        "versions": [version.number for version in registered],
    }
    exchange.save_decision(said)
    return said


def _compare(
    plan: Plan,
    candidate: Candidate,
    champion: Version | None,
    settings: Settings,
    on_progress: OnProgress,
) -> Decision:
    """Compare a ranking candidate with popularity and with the champion's recipe."""
    rival, note = None, []
    if champion is not None:
        rival = candidates.result_of_champion(plan, champion, settings, on_progress)
        if rival is None:
            note = [f"{champion.name} can no longer be trained; comparison skipped"]
    decision = decide(
        candidates.result_of(plan, candidate),
        rival,
        candidates.result_of_popularity(plan),
        knows_more=champion is not None and champion.tags.get("data_hash") != plan.data.hash,
        seed=plan.seed,
    )
    return Decision(decision.promote, [*note, *decision.reasons])


def _better_at_stars(
    plan: Plan, holder: Version | None, raters: Sequence[Version]
) -> tuple[Version | None, str]:
    """The rating model that should predict stars from now on, None where it is ``holder``; why.

    On other data than the holder's the best of the new ones takes over: the holder knows neither
    the newest users nor the newest movies.
    """
    if not raters:
        return None, "no rating model was trained"
    trained = {one.recipe.id: one for one in candidates.kept(plan)}
    best = min(
        raters,
        key=lambda version: trained[version.tags["candidate"]].validation_mae or float("inf"),
    )
    rmse = best.metrics["rmse"]
    if holder is None:
        return best, f"stars: RMSE {rmse:.4f}, the first model that predicts them"
    of_holder = holder.metrics.get("rmse")
    if of_holder is None or holder.tags.get("hold_out") != plan.hold_out:
        return best, f"stars: RMSE {rmse:.4f}; {holder.name} was trained on other data"
    if rmse < of_holder:
        return best, f"stars: RMSE {rmse:.4f} against {of_holder:.4f} of {holder.name}"
    return None, f"kept: RMSE {rmse:.4f} against {of_holder:.4f} of {holder.name}"


def promote(
    plan: Mapping[str, Any], decision: Mapping[str, Any], *, settings: Settings | None = None
) -> dict[str, Any]:
    """Do what the gate said, note its reasons on every version, draw the page, and clear up.

    Returns the decision with ``champion``, the display name of the champion there is now, or
    None.
    """
    settings = settings or load_settings()
    whole = Plan.from_json(plan, settings)
    exchange = ArtifactExchange.of(whole, settings)
    if (done := exchange.done()) is not None:
        exchange.clear_up()
        return dict(done["decision"])
    _bring_prepared(exchange)
    registry = open_registry(settings)
    candidates.fetch_summaries(
        whole, [registry.resolve(str(number)) for number in decision["versions"]], registry
    )
    reasons = "\n".join(decision["reasons"])
    for number in decision["versions"]:
        version = registry.resolve(str(number))
        if number == decision["stars"]:
            registry.set_rating_model(version)
            registry.set_tag(version, "gate", "stars")
            registry.set_tag(version, "gate_reasons", decision["stars_reason"])
            registry.describe(version, decision["stars_reason"])
        elif number != decision["version"]:
            registry.set_tag(version, "gate", "kept")
            registry.set_tag(
                version, "gate_reasons", f"kept: {decision['name']} was the best of its retraining"
            )
        elif decision["promote"]:
            registry.promote(version, reasons, gate="promoted")
            registry.describe(version, reasons)
        else:
            registry.set_tag(version, "gate", "kept")
            registry.set_tag(version, "gate_reasons", reasons)
            registry.describe(version, reasons)
    champion = registry.alias(CHAMPION)
    answer = {**decision, "champion": None if champion is None else champion.name}
    rival = decision["compared_with"]
    log_page(whole, answer, None if rival is None else registry.resolve(str(rival)), settings)
    trained = [one.model_dump(mode="json") for one in candidates.kept(whole)]
    open_tracking(settings).finish(whole.run_id)
    exchange.finish({"decision": answer, "candidates": trained, "plan": whole.to_json()})
    exchange.clear_up()
    return answer


def retrain_all(
    config: RetrainConfig | Mapping[str, Any],
    on_progress: OnProgress,
    *,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """All stages in this process, one after the other; returns what :func:`promote` does."""
    settings = settings or load_settings()
    plan = tune_all(config, on_progress, settings=settings)
    trained = [
        one
        for family in plan["families"]
        for one in train(plan, family, settings=settings, on_progress=on_progress)
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
    """The stages up to tuning; returns the plan. Training with the same configuration goes on."""
    settings = settings or load_settings()
    plan = prepare(config, settings=settings)
    assert plan is not None  # only_new_data was not asked for
    facts = plan["data"]
    synthetic = " (SYNTHETIC ratings)" if facts["synthetic"] else ""
    on_progress(f"{facts['name']}{synthetic}: {facts['ratings']} ratings, retraining {plan['key']}")
    for work in plan["work"]:
        on_progress(f"tuning {work['family']}")
        found = tune(plan, **work, settings=settings)
        on_progress(f"tuned {work['family']}: {found['trials']} trials, best {found['best']}")
    return plan


def _bring_prepared(exchange: ArtifactExchange) -> None:
    """
    Raises:
        RegistryError: `prepare` did not finish.
    """
    if not exchange.prepared():
        raise RegistryError(
            f"what `prepare` made lies neither in {exchange.folder} nor in MLflow: run it again"
        )


def _silent(_text: str) -> None:
    """No progress."""
