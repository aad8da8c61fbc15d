"""Evaluate recipes on a data set under every protocol, without a retraining.

A model's recipe (its family and hyper-parameters) is trained again for each protocol, because the
registered model was trained on all ratings and cannot be evaluated on its own training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from moovier.data.catalogue import Catalogue
from moovier.data.ratings import Ratings
from moovier.data.split import SPLIT_SEED, Development, development_split
from moovier.errors import BadRequest, InvalidData, RegistryError
from moovier.jobs import ingest
from moovier.jobs.dataset import parse_dataset
from moovier.jobs.recent_baselines import RECENT_BASELINES
from moovier.jobs.recipes import ReadCard, stored_params
from moovier.jobs.registration import open_registry
from moovier.jobs.shared_statistics import cluster_of
from moovier.models.bundle import DataFacts
from moovier.models.families import FAMILIES, FOR_LARGE_CATALOGUES, RETIRED, family
from moovier.models.popular import NAME as POPULAR
from moovier.registry.version import Version
from moovier.report.model_report import BASELINE, POPULARITY, ModelReport, best_first
from moovier.settings import MAX_SEED, Settings, load_settings
from moovier.training import fit, protocols
from moovier.training.cluster import Cluster

OnProgress = Callable[[str], None]


class EvaluationReport(BaseModel):
    """The metrics of recipes on one data set, best first.

    ``model`` and ``version``: the registered model, or None. ``seed``: of the trainings.
    ``split_seed``: of the choice of held-out users and of the ratings that visitors bring.
    """

    model_config = ConfigDict(frozen=True)

    data: DataFacts
    model: str | None
    version: int | None
    seed: int
    split_seed: int
    models: list[ModelReport]


class _Recipe(BaseModel):
    """A recipe to evaluate.

    ``params``: hyper-parameters; those left out have their defaults.
    """

    name: str
    kind: str
    family: str
    params: dict[str, Any] = {}


class _Data(BaseModel):
    """The ratings that recipes are evaluated on, split once for all of them.

    ``cluster``: what a cluster computes; None without one.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    ratings: Ratings
    catalogue: Catalogue
    development: Development
    facts: DataFacts
    cluster: Cluster | None = None


def evaluate(
    model: str | None = None,
    *,
    data: str | None = None,
    families: Sequence[str] = (),
    seed: int | None = None,
    split_seed: int = SPLIT_SEED,
    settings: Settings | None = None,
    on_progress: OnProgress | None = None,
) -> EvaluationReport:
    """Evaluate a model's recipe beside popularity, or families' defaults.

    ``model``: name, alias or version number; without one, the registry is not needed. ``families``:
    alternative to a model; without both, the ranking families that are trained by default.
    ``data``: a name or folder, by default the setting ``data``.

    Raises:
        BadRequest: both a model and families are given, or a family is unknown.
        DataError: the data set is unavailable, or no user in it can be held out.
        UnknownModel, RegistryUnavailable: see :class:`moovier.registry.client.Registry`.
        RegistryError: the model's family or hyper-parameters no longer exist.
    """
    settings = settings or load_settings()
    on_progress = on_progress or _silent
    if model and families:
        raise BadRequest("give either a model or families, not both")
    for name, value in (("seed", seed or 0), ("split_seed", split_seed)):
        if not 0 <= value <= MAX_SEED:
            raise BadRequest(f"{name} must be 0 to {MAX_SEED}, not {value}")
    registry = open_registry(settings)
    version = registry.resolve(model) if model else None
    recipes = _default_recipes(families) if version is None else _recipes_of(version, registry.card)
    split = _read(data, split_seed, settings)
    facts = split.facts
    on_progress(f"{facts.name}: {facts.ratings:,} ratings of {facts.users:,} users")
    seed = settings.seed if seed is None else seed
    reports = [
        _evaluate(recipe, split, seed, split_seed, settings.threads, on_progress)
        for recipe in recipes
    ]
    if not any(r.visitor or r.next_visit or r.by_time or r.stars for r in reports):
        raise InvalidData(
            f"{facts.name}: no user can be held out; at least two users are needed, one of them "
            "with five ratings"
        )
    return EvaluationReport(
        data=facts,
        model=version.name if version else None,
        version=version.number if version else None,
        seed=seed,
        split_seed=split_seed,
        models=best_first(reports),
    )


def _recipes_of(version: Version, read_card: ReadCard) -> list[_Recipe]:
    """Return the recipe of a registered model, and the baselines."""
    message = f"{version.name} (version {version.number}) can no longer be trained"
    family_name, stored = stored_params(version, read_card)
    if not stored:
        raise RegistryError(f"{message}: MLflow has no hyper-parameters of it")
    try:
        space = family(family_name).hyper_parameters
        params = space.model_validate(stored).model_dump(mode="json")
    except BadRequest as error:
        raise RegistryError(f"{message}: {error}") from error
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise RegistryError(
            f"{message}: the hyper-parameters of {family_name!r} have changed ({fields})"
        ) from error
    recipe = _Recipe(
        name=version.name, kind=f"version {version.number}", family=family_name, params=params
    )
    return [recipe, *_default_recipes([POPULAR])]


def _default_recipes(families: Sequence[str]) -> list[_Recipe]:
    """Return a default recipe per family; by default of all current ranking families."""
    names = dict.fromkeys(
        families
        or [
            name
            for name, candidate in FAMILIES.items()
            if candidate.objective == "ranking" and name not in RETIRED | FOR_LARGE_CATALOGUES
        ]
    )
    recipes: list[_Recipe] = []
    for name in names:
        family(name)
        if name == POPULAR:
            recipes.append(_Recipe(name=POPULARITY, kind=BASELINE, family=name))
            recipes += [
                _Recipe(name=recent, kind=BASELINE, family=name, params=params)
                for recent, params in RECENT_BASELINES.items()
            ]
        else:
            recipes.append(_Recipe(name=name, kind="default", family=name))
    return recipes


def _read(data: str | None, split_seed: int, settings: Settings) -> _Data:
    dataset = parse_dataset(ingest.pull(data, settings=settings), settings)
    return _Data(
        ratings=dataset.ratings,
        catalogue=dataset.catalogue,
        development=development_split(dataset.ratings, split_seed),
        facts=dataset.facts,
        cluster=cluster_of(dataset, settings),
    )


def _evaluate(
    recipe: _Recipe, data: _Data, seed: int, split_seed: int, threads: int, on_progress: OnProgress
) -> ModelReport:
    on_progress(f"{recipe.name}: training for validation")
    if recipe.family == POPULAR and not recipe.params:
        trained = fit.train_popularity(
            data.development, catalogue=data.catalogue, seed=seed, threads=threads
        )
    else:
        params = family(recipe.family).hyper_parameters.model_validate(recipe.params)
        trained = fit.train(
            data.development,
            recipe.family,
            params,
            catalogue=data.catalogue,
            seed=seed,
            threads=threads,
            cluster=data.cluster,
        )
    evaluation = protocols.evaluate(
        trained,
        data.ratings,
        catalogue=data.catalogue,
        seed=split_seed,
        cluster=data.cluster,
        on_progress=lambda part: on_progress(f"{recipe.name}: {part}"),
    )
    return ModelReport.of(
        recipe.name,
        recipe.kind,
        evaluation,
        params=trained.params.model_dump(mode="json"),
        fit_s=trained.fit_s,
        seed=seed,
    )


def _silent(_text: str) -> None:
    """Report no progress."""
