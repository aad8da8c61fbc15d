"""Train and evaluate one recipe of a retraining."""

from __future__ import annotations

from collections.abc import Callable

from moovier.data.split import development_split
from moovier.jobs.dataset import Dataset
from moovier.jobs.retrain_plan import Recipe, RetrainPlan
from moovier.jobs.shared_statistics import cluster_of, statistics_of
from moovier.models.families import family
from moovier.models.family import FitResult
from moovier.settings import Settings
from moovier.training import fit, protocols
from moovier.training.fit import Trained
from moovier.training.protocols import Evaluation

OnProgress = Callable[[str], None]


def fit_and_evaluate(
    plan: RetrainPlan, recipe: Recipe, data: Dataset, settings: Settings, on_progress: OnProgress
) -> tuple[Trained, Evaluation]:
    """Fit the recipe on the development split and evaluate it once on the hold-out."""
    params = family(recipe.family).hyper_parameters.model_validate(recipe.params)
    statistics, cluster = statistics_of(plan, data, settings), cluster_of(data, settings)
    trained = fit.train(
        development_split(data.ratings),
        recipe.family,
        params,
        catalogue=data.catalogue,
        seed=plan.seed,
        threads=settings.threads,
        statistics=statistics,
        cluster=cluster,
    )
    evaluation = protocols.evaluate(
        trained,
        data.ratings,
        catalogue=data.catalogue,
        statistics=statistics,
        cluster=cluster,
        on_progress=lambda part: on_progress(f"evaluating {recipe.id}: {part}"),
    )
    return trained, evaluation


def refit_on_all(
    plan: RetrainPlan, trained: Trained, data: Dataset, settings: Settings
) -> FitResult:
    """Fit a recipe again, on all ratings."""
    return fit.refit(
        data.ratings,
        trained.family,
        trained.params,
        catalogue=data.catalogue,
        epochs=trained.fitted.epochs,
        seed=plan.seed,
        threads=settings.threads,
        statistics=statistics_of(plan, data, settings),
        cluster=cluster_of(data, settings),
    )
