"""The candidates of a retraining: trained, evaluated once on the hold-out, and kept whole."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moovier.data.ratings import Index
from moovier.data.split import development_split, split_last_share
from moovier.errors import BadRequest, InvalidData, RegistryError
from moovier.jobs.dataset import Dataset, read_dataset
from moovier.jobs.registration import (
    EVALUATION,
    FIGURES,
    open_registry,
    open_tracking,
    read_evaluation,
    write_evaluation,
    write_model,
)
from moovier.jobs.retrain_plan import Plan, Recipe, read_json, write_json
from moovier.models.bundle import Bundle, Card, display_name
from moovier.models.families import family
from moovier.models.neumf import NAME as EMBEDDINGS
from moovier.models.popular import NAME as POPULAR
from moovier.models.popular import POPULAR_DAYS
from moovier.registry.atomic_folder import replaced
from moovier.registry.client import BUNDLE, Registry
from moovier.registry.gate import HoldOutResult
from moovier.registry.tracking import Tracking
from moovier.registry.version import Version
from moovier.report.examples import examples
from moovier.report.model_report import BASELINE, POPULARITY, ModelReport
from moovier.settings import Settings
from moovier.training import fit
from moovier.training.fit import Evaluation, Trained

OnProgress = Callable[[str], None]
_MODEL = "model"
#: Beside the bundle: what this module keeps of a candidate.
_FACTS = "candidate.json"
#: What the stages after the training need of a candidate: some kilobytes.
_SUMMARY = (_FACTS, EVALUATION, FIGURES)


class Candidate(BaseModel):
    """A trained candidate: its card says how good it is, ``run_id`` where its training is.

    Ranking candidates are chosen by ``validation_ndcg`` (the tuning objective, 0 to 1), rating
    candidates by ``validation_mae`` (stars): the hold-out is for the one comparison with the
    champion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    card: Card
    run_id: str
    validation_ndcg: float
    validation_mae: float | None

    @property
    def ranks(self) -> bool:
        return family(self.recipe.family).objective == "ranking"


def model_folder(plan: Plan, recipe_id: str) -> Path:
    """The MLflow model of a candidate, with bundle and evaluation beside it."""
    return plan.candidates_folder / recipe_id / _MODEL


def kept(plan: Plan) -> list[Candidate]:
    """The candidates that are trained, as far as this machine knows, by id."""
    files = sorted(plan.candidates_folder.glob(f"[!.]*/{_MODEL}/{_FACTS}"))
    return [Candidate.model_validate(read_json(file)) for file in files]


def key_of(plan: Plan, recipe: Recipe) -> str:
    """What a candidate is uploaded and registered under, once."""
    return f"{plan.key}:{recipe.id}"


def fetch_summaries(plan: Plan, versions: Sequence[Version], registry: Registry) -> None:
    """Bring what later stages need of the registered candidates that were not trained here."""
    for version in versions:
        folder = plan.candidates_folder / version.tags["candidate"]
        _bring_summary(folder, partial(registry.download_file, version))


def _bring_summary(folder: Path, download: Callable[[str, Path], Path | None]) -> None:
    """
    Raises:
        RegistryError: MLflow does not have all of it.
    """
    if (folder / _MODEL / _FACTS).exists():
        return
    with replaced(folder) as temporary:
        (temporary / _MODEL).mkdir()
        for name in _SUMMARY:
            if download(name, temporary / _MODEL / name) is None:
                raise RegistryError(f"the candidate {folder.name} lacks {name} in MLflow")


def recipes(plan: Plan, family_name: str, tuned: Mapping[str, Any] | None) -> list[Recipe]:
    """Return what the family has to train: the tuned recipe and the champion's, each once.

    ``tuned`` are the best hyper-parameters found, None where no trial completed: then the defaults
    are trained. The defaults are a trial too, so they need no candidate beside the tuned one,
    except for ``emb``, whose default sizes are promised by name.
    """
    wanted: list[Recipe] = []
    if family_name == EMBEDDINGS:
        wanted += [_default(family_name, f"{size}", size=size) for size in plan.embedding_sizes]
    elif tuned is None:
        wanted.append(_default(family_name, "default"))
    if tuned is not None:
        name = f"{family_name}-tuned"
        wanted.append(Recipe(id=name, kind="tuned", family=family_name, params=dict(tuned)))
    if plan.champion is not None and plan.champion.family == family_name:
        wanted.append(plan.champion)
    found: list[Recipe] = []
    for recipe in wanted:
        if all(recipe.params != other.params for other in found):
            found.append(recipe)
    return found


def _default(family_name: str, end: str, **changed: Any) -> Recipe:
    """Return a recipe with default hyper-parameters but for ``changed``."""
    params = family(family_name).hyper_parameters.model_validate(changed)
    return Recipe(
        id=f"{family_name}-{end}",
        kind="default",
        family=family_name,
        params=params.model_dump(mode="json"),
    )


def train_candidate(
    plan: Plan, recipe: Recipe, settings: Settings, on_progress: OnProgress
) -> Candidate:
    """Train the candidate, keep it and upload it; what there is of that already is used."""
    folder = plan.candidates_folder / recipe.id
    tracking = open_tracking(settings)
    key = key_of(plan, recipe)
    uploaded = tracking.uploaded(key)
    if uploaded is not None:
        _bring_summary(folder, partial(tracking.download_uploaded, uploaded))
    elif not (folder / _MODEL / BUNDLE).is_dir():
        _train(plan, recipe, folder, settings, tracking, on_progress)
    candidate = Candidate.model_validate(read_json(folder / _MODEL / _FACTS))
    if uploaded is None:
        tracking.upload(folder / _MODEL, candidate.card.name, run_id=candidate.run_id, key=key)
    return candidate


def _train(
    plan: Plan,
    recipe: Recipe,
    folder: Path,
    settings: Settings,
    tracking: Tracking,
    on_progress: OnProgress,
) -> None:
    """Train the candidate and keep it in ``folder``, whole or not at all."""
    kind = family(recipe.family)
    params = kind.hyper_parameters.model_validate(recipe.params)
    name = display_name(recipe.family, params.size, 0)
    data = read_dataset(plan.data_folder)
    on_progress(f"training {name} ({recipe.kind})")
    run_id = tracking.start(
        f"{name} ({recipe.kind})", retraining=plan.key, part=recipe.id, parent=plan.run_id
    )
    trained, evaluation = _fit(plan, recipe, data, settings, on_progress)
    served = fit.refit(
        data.ratings,
        recipe.family,
        params,
        catalogue=data.catalogue,
        epochs=trained.fitted.epochs,
        seed=plan.seed,
        threads=settings.threads,
    )
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
    )
    figures = ModelReport.of(
        name,
        recipe.kind,
        evaluation,
        params=recipe.params,
        fit_s=trained.fit_s,
        seed=plan.seed,
        curves={key: list(values) for key, values in trained.fitted.curves.items()},
        examples=examples(
            kind.scorer(served.arrays),
            data.ratings.histories,
            data.index.users.tolist(),
            data.catalogue,
        ),
    )
    # Logged first: a candidate that is kept is never looked at again.
    tracking.log(
        run_id,
        params={"family": recipe.family, "recipe": recipe.kind, **recipe.params},
        metrics={
            **card.metrics,
            **trained.validation,
            "validation_ndcg_at_10": trained.validation_ndcg,
            "epochs": float(card.epochs),
            "fit_s": trained.fit_s,
        },
        curves=trained.fitted.curves,
    )
    tracking.log_curves_picture(run_id, trained.fitted.curves, name)
    tracking.log_data(run_id, plan.data)
    tracking.finish(run_id)
    with replaced(folder) as temporary:
        model = temporary / _MODEL
        # The service answers people whom nobody knows with the window of days chosen in this run.
        days = figures_of_popularity(plan).params.get("days", 0)
        arrays = {**served.arrays, POPULAR_DAYS: np.array([days])}
        whole = Bundle(card, data.index, data.ratings.histories, data.catalogue, arrays)
        write_model(model, whole, served.keras_model)
        write_evaluation(model / EVALUATION, _result(card.name, data.index, evaluation))
        write_json(model / FIGURES, figures.model_dump(mode="json"))
        write_json(model / _FACTS, candidate.model_dump(mode="json"))


def evaluate_popularity(plan: Plan, data: Dataset, tracking: Tracking) -> None:
    """Evaluate recommending what is popular on the hold-out and keep it beside the plan.

    Its window of days is the one that is best on the validation parts.

    Raises:
        InvalidData: nobody has enough ratings to hold some out.
    """
    _, test = split_last_share(data.ratings)
    if not len(test):
        raise InvalidData(
            f"{data.facts.name}: no user has five ratings, so none can be held out for the test"
        )
    split = development_split(data.ratings)
    trained = fit.train_popularity(split, catalogue=data.catalogue, seed=plan.seed, threads=1)
    evaluation = fit.evaluate(trained, data.ratings, catalogue=data.catalogue)
    write_evaluation(plan.popularity_file, _result(POPULAR, data.index, evaluation))
    params = trained.params.model_dump(mode="json")
    figures = ModelReport.of(POPULARITY, BASELINE, evaluation, seed=plan.seed, params=params)
    write_json(plan.popularity_figures_file, figures.model_dump(mode="json"))
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


def figures_of(plan: Plan, candidate: Candidate) -> ModelReport:
    """What the page says of a kept candidate."""
    return ModelReport.model_validate(read_json(model_folder(plan, candidate.recipe.id) / FIGURES))


def figures_of_popularity(plan: Plan) -> ModelReport:
    """What the page says of recommending what is popular."""
    return ModelReport.model_validate(read_json(plan.popularity_figures_file))


def result_of_popularity(plan: Plan) -> HoldOutResult:
    """Popularity on the plan's hold-out."""
    return read_evaluation(plan.popularity_file, "popularity")


def result_of(plan: Plan, candidate: Candidate, name: str | None = None) -> HoldOutResult:
    """A kept candidate on the plan's hold-out, under its own name or ``name``."""
    file = model_folder(plan, candidate.recipe.id) / EVALUATION
    return read_evaluation(file, name or candidate.card.name)


def result_of_champion(
    plan: Plan, champion: Version, settings: Settings, on_progress: OnProgress
) -> HoldOutResult | None:
    """The champion on the plan's hold-out; where it has no result there, its recipe's.

    None where there is neither: its family or parameters are no longer known. See
    docs/decisions/promotion-gate.md.
    """
    if champion.tags.get("hold_out") == plan.hold_out:
        with tempfile.TemporaryDirectory() as folder:
            file = open_registry(settings).download_file(
                champion, EVALUATION, Path(folder) / EVALUATION
            )
            if file is not None:
                return read_evaluation(file, champion.name)
    recipe = _recipe(champion)
    if recipe is None:
        return None
    name = f"{champion.name} trained on the same data"
    for candidate in kept(plan):
        if candidate.recipe.family == recipe.family and candidate.recipe.params == recipe.params:
            return result_of(plan, candidate, name)
    on_progress(f"training {name}, to compare with")
    data = read_dataset(plan.data_folder)
    _, evaluation = _fit(plan, recipe, data, settings, on_progress)
    return _result(name, data.index, evaluation)


def recipe_of(champion: Version, hold_out: str) -> Recipe | None:
    """The champion's recipe; None where it has a result on this hold-out, or can no longer be
    trained."""
    return None if champion.tags.get("hold_out") == hold_out else _recipe(champion)


def _recipe(champion: Version) -> Recipe | None:
    try:
        space = family(champion.family).hyper_parameters
        params = space.model_validate_json(champion.tags["params"]).model_dump(mode="json")
    except (BadRequest, KeyError, ValidationError):
        # It was made by a version that had other families or other parameters.
        return None
    return Recipe(
        id=f"{champion.family}-champion-{champion.number}",
        kind="champion",
        family=champion.family,
        params=params,
    )


def _fit(
    plan: Plan, recipe: Recipe, data: Dataset, settings: Settings, on_progress: OnProgress
) -> tuple[Trained, Evaluation]:
    """Fit on the development split, then evaluate the recipe once on what was held out."""
    params = family(recipe.family).hyper_parameters.model_validate(recipe.params)
    trained = fit.train(
        development_split(data.ratings),
        recipe.family,
        params,
        catalogue=data.catalogue,
        seed=plan.seed,
        threads=settings.threads,
    )
    evaluation = fit.evaluate(
        trained,
        data.ratings,
        catalogue=data.catalogue,
        on_progress=lambda part: on_progress(f"evaluating {recipe.id}: {part}"),
    )
    return trained, evaluation


def _result(name: str, index: Index, evaluation: Evaluation) -> HoldOutResult:
    """Return a result by MovieLens ids, as the gate compares it."""
    arrays: dict[str, Any] = {}
    if (last_share := evaluation.by_time) is not None:
        arrays |= {"users": index.users[last_share.users], "ndcg": last_share.ndcg}
    if (visitor := evaluation.visitor) is not None:
        arrays |= {"visitor_users": index.users[visitor.users], "visitor_ndcg": visitor.ndcg}
    if (after := evaluation.next_visit) is not None:
        arrays |= {"next_visit_users": index.users[after.users], "next_visit_ndcg": after.ndcg}
    return HoldOutResult(name, **arrays)
