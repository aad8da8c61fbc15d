"""Train, evaluate and store the candidates of a retraining."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from moovier.data.ratings import Index
from moovier.data.split import development_split
from moovier.errors import InvalidData, RegistryError
from moovier.jobs.dataset import Dataset, read_dataset
from moovier.jobs.recipe_training import OnProgress, fit_and_evaluate, refit_on_all
from moovier.jobs.recipes import stored_recipe
from moovier.jobs.registration import (
    EVALUATION,
    REPORT,
    candidate_id,
    open_registry,
    open_tracking,
    read_evaluation,
    record_of,
    write_evaluation,
    write_model,
)
from moovier.jobs.retrain_plan import Recipe, RetrainPlan
from moovier.jobs.stage_results import parse_result
from moovier.json_files import read_json, write_json
from moovier.models.bundle import Bundle, Card, display_name
from moovier.models.families import family
from moovier.models.family import FitResult
from moovier.models.popular import NAME as POPULAR
from moovier.models.popular import POPULAR_DAYS
from moovier.registry.atomic_folder import replaced
from moovier.registry.client import Registry
from moovier.registry.gate import HoldOutResult
from moovier.registry.model_record import ModelRecord
from moovier.registry.reader import BUNDLE
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from moovier.report.examples import examples
from moovier.report.model_report import BASELINE, POPULARITY, ModelReport
from moovier.settings import Settings
from moovier.training import fit, protocols
from moovier.training.fit import Trained
from moovier.training.protocols import Evaluation

_MODEL = "model"
#: Ratings of a user of whom one can be held out.
LEAST_RATINGS = 5
#: File beside the bundle with a :class:`Candidate`.
_FACTS = "candidate.json"
#: The files that later stages need of a candidate; some kilobytes.
_SUMMARY = (_FACTS, EVALUATION, REPORT)


class Candidate(BaseModel):
    """A trained candidate, with its card and the id of its MLflow run.

    The best ranking candidate has the highest ``validation_ndcg`` (the tuning objective, 0 to 1),
    the best rating candidate the lowest ``validation_mae`` (stars). The hold-out is used only for
    the comparison with the champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    card: Card
    run_id: str
    validation_ndcg: float
    validation_mae: float | None
    fit_s: float | None = Field(None, description="Seconds of the fit on the development part.")

    @property
    def ranks(self) -> bool:
        """Whether the candidate is a ranking model."""
        return family(self.recipe.family).objective == "ranking"


def model_folder(plan: RetrainPlan, recipe_id: str) -> Path:
    """Return the folder of a candidate's MLflow model, bundle and evaluation."""
    return plan.candidates_folder / recipe_id / _MODEL


def trained_candidates(plan: RetrainPlan) -> list[Candidate]:
    """Return the trained candidates on this machine, sorted by id."""
    files = sorted(plan.candidates_folder.glob(f"[!.]*/{_MODEL}/{_FACTS}"))
    return [parse_result(Candidate, read_json(file), "train") for file in files]


def key_of(plan: RetrainPlan, recipe: Recipe) -> str:
    """Return the key under which a candidate is uploaded and registered, once."""
    return f"{plan.key}:{recipe.id}"


def fetch_summaries(plan: RetrainPlan, versions: Sequence[Version], registry: Registry) -> None:
    """Fetch the summaries of candidates that other machines trained."""
    for version in versions:
        folder = plan.candidates_folder / candidate_id(version)
        _fetch_summary(folder, partial(registry.download_file, version))


def _fetch_summary(folder: Path, download: Callable[[str, Path], Path | None]) -> None:
    """Fetch a candidate's summary into ``folder`` unless it is there.

    Raises:
        RegistryError: a file is missing in MLflow.
    """
    if (folder / _MODEL / _FACTS).exists():
        return
    with replaced(folder) as temporary:
        (temporary / _MODEL).mkdir()
        for name in _SUMMARY:
            if download(name, temporary / _MODEL / name) is None:
                raise RegistryError(
                    f"candidate {folder.name} has no {name} in MLflow; start a new retraining"
                )


def train_candidate(
    plan: RetrainPlan, recipe: Recipe, settings: Settings, on_progress: OnProgress
) -> Candidate:
    """Train, store and upload the candidate; reuse finished steps."""
    folder = plan.candidates_folder / recipe.id
    tracking = open_tracking(settings)
    key = key_of(plan, recipe)
    uploaded = tracking.uploaded(key)
    if uploaded is not None:
        _fetch_summary(folder, partial(tracking.download_uploaded, uploaded))
    elif not (folder / _MODEL / BUNDLE).is_dir():
        _train(plan, recipe, folder, settings, tracking, on_progress)
    candidate = parse_result(Candidate, read_json(folder / _MODEL / _FACTS), "train")
    if uploaded is None:
        tracking.upload(
            folder / _MODEL,
            candidate.card.name,
            run_id=candidate.run_id,
            key=key,
            record=record_of_candidate(plan, candidate),
            data=plan.data,
        )
    return candidate


def record_of_candidate(plan: RetrainPlan, candidate: Candidate) -> ModelRecord:
    """Return what MLflow's logged model holds about a candidate."""
    metrics = {"validation_ndcg_at_10": candidate.validation_ndcg}
    if candidate.fit_s is not None:
        metrics["fit_s"] = candidate.fit_s
    return record_of(
        candidate.card,
        {"retraining": plan.key, "candidate": candidate.recipe.id, "hold_out": plan.hold_out},
        recipe=candidate.recipe.kind,
        metrics=metrics,
    )


def _train(
    plan: RetrainPlan,
    recipe: Recipe,
    folder: Path,
    settings: Settings,
    tracking: Tracking,
    on_progress: OnProgress,
) -> None:
    """Train the candidate and store it in ``folder``, atomically."""
    kind = family(recipe.family)
    params = kind.hyper_parameters.model_validate(recipe.params)
    name = display_name(recipe.family, params.size, 0)
    data = read_dataset(plan.data_folder)
    on_progress(f"training {name} ({recipe.kind})")
    run_id = tracking.start(
        f"{name} ({recipe.kind})", retraining=plan.key, part=recipe.id, parent=plan.run_id
    )
    trained, evaluation = fit_and_evaluate(plan, recipe, data, settings, on_progress)
    refitted = refit_on_all(plan, trained, data, settings)
    card = Card(
        name=name,
        family=recipe.family,
        params=recipe.params,
        epochs=trained.fitted.epochs,
        data=plan.data,
        metrics=evaluation.metrics(),
    )
    candidate = Candidate(
        recipe=recipe,
        card=card,
        run_id=run_id,
        validation_ndcg=trained.validation_ndcg,
        validation_mae=trained.validation_mae,
        fit_s=trained.fit_s,
    )
    report = _report(recipe, trained, evaluation, refitted, data, plan.seed, name)
    # Log before storing: a stored candidate is not trained again.
    _log(candidate, trained, plan, tracking)
    # The service uses this run's window of days for users that the model does not know.
    days = report_of_popularity(plan).params.get("days", 0)
    arrays = {**refitted.arrays, POPULAR_DAYS: np.array([days])}
    bundle = data.bundle(card, arrays)
    result = _result(card.name, data.index, evaluation)
    _store(folder, candidate, bundle, refitted.keras_model, result, report)


def _report(
    recipe: Recipe,
    trained: Trained,
    evaluation: Evaluation,
    refitted: FitResult,
    data: Dataset,
    seed: int,
    name: str,
) -> ModelReport:
    """Return the candidate's report, with the refitted model's examples."""
    return ModelReport.of(
        name,
        recipe.kind,
        evaluation,
        params=recipe.params,
        fit_s=trained.fit_s,
        seed=seed,
        curves={metric: list(values) for metric, values in trained.fitted.curves.items()},
        examples=examples(
            family(recipe.family).scorer(refitted.arrays),
            data.ratings.histories,
            data.index.users.tolist(),
            data.catalogue,
        ),
    )


def _store(
    folder: Path,
    candidate: Candidate,
    bundle: Bundle,
    keras_model: Any,
    result: HoldOutResult,
    report: ModelReport,
) -> None:
    """Write the candidate's files into ``folder``, atomically."""
    with replaced(folder) as temporary:
        model = temporary / _MODEL
        write_model(model, bundle, keras_model)
        write_evaluation(model / EVALUATION, result)
        write_json(model / REPORT, report.model_dump(mode="json"))
        write_json(model / _FACTS, candidate.model_dump(mode="json"))


def _log(candidate: Candidate, trained: Trained, plan: RetrainPlan, tracking: Tracking) -> None:
    """Log the candidate's hyper-parameters, metrics and curves, and finish its run."""
    run_id, recipe = candidate.run_id, candidate.recipe
    tracking.log(
        run_id,
        params={"family": recipe.family, "recipe": recipe.kind, **recipe.params},
        metrics={
            **candidate.card.metrics,
            **trained.validation,
            "validation_ndcg_at_10": trained.validation_ndcg,
            "epochs": float(candidate.card.epochs),
            "fit_s": trained.fit_s,
        },
        curves=trained.fitted.curves,
    )
    tracking.log_curves_plot(run_id, trained.fitted.curves, candidate.card.name)
    tracking.log_data(run_id, plan.data)
    tracking.finish(run_id)


def evaluate_popularity(plan: RetrainPlan, data: Dataset, tracking: Tracking) -> None:
    """Evaluate the popularity baseline on the hold-out and store the result.

    Its window of days is the best one on the validation parts.

    Raises:
        InvalidData: no user has enough ratings to hold some out.
    """
    if data.ratings.counts.max(initial=0) < LEAST_RATINGS:
        raise InvalidData(
            f"{data.facts.name}: no user has five ratings, so none can be held out; add ratings"
        )
    split = development_split(data.ratings)
    trained = fit.train_popularity(split, catalogue=data.catalogue, seed=plan.seed, threads=1)
    evaluation = protocols.evaluate(trained, data.ratings, catalogue=data.catalogue)
    write_evaluation(plan.popularity_file, _result(POPULAR, data.index, evaluation))
    params = trained.params.model_dump(mode="json")
    report = ModelReport.of(POPULARITY, BASELINE, evaluation, seed=plan.seed, params=params)
    write_json(plan.popularity_report_file, report.model_dump(mode="json"))
    run_id = tracking.start("popularity", retraining=plan.key, part=POPULAR, parent=plan.run_id)
    tracking.log(
        run_id,
        params=params,
        metrics={
            **evaluation.metrics(),
            **trained.validation,
            "validation_ndcg_at_10": trained.validation_ndcg,
        },
    )
    tracking.log_data(run_id, plan.data)
    tracking.finish(run_id)


def report_of(plan: RetrainPlan, candidate: Candidate) -> ModelReport:
    """Return the report of a trained candidate."""
    file = model_folder(plan, candidate.recipe.id) / REPORT
    return parse_result(ModelReport, read_json(file), "train")


def report_of_popularity(plan: RetrainPlan) -> ModelReport:
    """Return the report of the popularity baseline."""
    return parse_result(ModelReport, read_json(plan.popularity_report_file), "prepare")


def result_of_popularity(plan: RetrainPlan) -> HoldOutResult:
    """Return the popularity baseline's result on the plan's hold-out."""
    return read_evaluation(plan.popularity_file, "popularity")


def result_of(plan: RetrainPlan, candidate: Candidate, name: str | None = None) -> HoldOutResult:
    """Return a candidate's result on the hold-out, by default with its name."""
    file = model_folder(plan, candidate.recipe.id) / EVALUATION
    return read_evaluation(file, name or candidate.card.name)


def result_of_champion(
    plan: RetrainPlan, champion: Version, settings: Settings, on_progress: OnProgress
) -> HoldOutResult | None:
    """Return the result of the champion, or of its recipe, on the hold-out.

    None if it has no result there and its family or hyper-parameters no longer exist. See
    docs/decisions/promotion-gate.md.
    """
    if champion.tags.get("hold_out") == plan.hold_out:
        with tempfile.TemporaryDirectory() as folder:
            file = open_registry(settings).download_file(
                champion, EVALUATION, Path(folder) / EVALUATION
            )
            if file is not None:
                return read_evaluation(file, champion.name)
    recipe = stored_recipe(champion, open_registry(settings).card)
    if recipe is None:
        return None
    name = f"{champion.name} trained on the same data"
    for candidate in trained_candidates(plan):
        if candidate.recipe.family == recipe.family and candidate.recipe.params == recipe.params:
            return result_of(plan, candidate, name)
    on_progress(f"training {name}, for the comparison")
    data = read_dataset(plan.data_folder)
    _, evaluation = fit_and_evaluate(plan, recipe, data, settings, on_progress)
    return _result(name, data.index, evaluation)


def _result(name: str, index: Index, evaluation: Evaluation) -> HoldOutResult:
    """Return an evaluation as a hold-out result, with MovieLens ids of users."""
    arrays: dict[str, Any] = {}
    if (last_share := evaluation.by_time) is not None:
        arrays |= {"users": index.users[last_share.users], "ndcg": last_share.ndcg}
    if (visitor := evaluation.visitor) is not None:
        arrays |= {"visitor_users": index.users[visitor.users], "visitor_ndcg": visitor.ndcg}
    if (after := evaluation.next_visit) is not None:
        arrays |= {"next_visit_users": index.users[after.users], "next_visit_ndcg": after.ndcg}
    return HoldOutResult(name, **arrays)
