"""Evaluate recipes on a data set under every protocol, without a retraining.

The recipe of a model (its family and hyper-parameters) is fitted anew for each protocol: the
registered model itself was trained on everybody and cannot be measured on its own training data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.split import SPLIT_SEED, Development, development_split
from moovier.errors import BadRequest, InvalidData, RegistryError
from moovier.jobs import ingest
from moovier.jobs.registration import open_registry
from moovier.models.bundle import DataFacts
from moovier.models.families import FAMILIES, RETIRED, family
from moovier.models.popular import NAME as POPULAR
from moovier.registry.version import Version
from moovier.report.model_report import BASELINE, POPULARITY, ModelReport, best_first
from moovier.settings import Settings, load_settings
from moovier.training import fit

OnProgress = Callable[[str], None]


class EvaluationReport(BaseModel):
    """Figures of recipes on one data set, best first.

    ``model`` and ``version``: the registered model that was asked for, None without one. ``seed``:
    of the trainings. ``split_seed``: of who is held out and what visitors bring.
    """

    model_config = ConfigDict(frozen=True)

    data: DataFacts
    model: str | None
    version: int | None
    seed: int
    split_seed: int
    models: list[ModelReport]


class _Recipe(BaseModel):
    """A recipe to evaluate. ``params``: of the family's hyper-parameters, else their defaults."""

    name: str
    kind: str
    family: str
    params: dict[str, Any] = {}


class _Data(BaseModel):
    """The ratings that recipes are evaluated on, cut once for all of them."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    ratings: Ratings
    catalogue: Catalogue
    development: Development
    facts: DataFacts


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
    """Evaluate a registered model's recipe beside popularity, or families' default recipes.

    ``model``: name, alias or version number; the registry is not asked without one. ``families``:
    instead of a model; none means the families that rank and are trained by default. ``data``: a
    name or folder as in the setting ``data``, which is the default.

    Raises:
        BadRequest: both a model and families, or an unknown family.
        DataError: the data set cannot be had, or nobody in it can be held out.
        UnknownModel, RegistryUnavailable: see :class:`moovier.registry.client.Registry`.
        RegistryError: this version has no such family or hyper-parameters any more.
    """
    settings = settings or load_settings()
    say = on_progress or _silent
    if model and families:
        raise BadRequest("give either a model or families, not both")
    version = open_registry(settings).resolve(model) if model else None
    recipes = _default_recipes(families) if version is None else _recipes_of(version)
    found = _read(data, split_seed, settings)
    say(f"{found.facts.name}: {found.facts.ratings:,} ratings of {found.facts.users:,} people")
    seed = settings.seed if seed is None else seed
    reports = [
        _evaluate(recipe, found, seed, split_seed, settings.threads, say) for recipe in recipes
    ]
    if not any(r.visitor or r.next_visit or r.by_time or r.stars for r in reports):
        raise InvalidData(
            f"{found.facts.name}: nobody can be held out; at least two people are needed, one of "
            "them with five ratings"
        )
    return EvaluationReport(
        data=found.facts,
        model=version.name if version else None,
        version=version.number if version else None,
        seed=seed,
        split_seed=split_seed,
        models=best_first(reports),
    )


def _recipes_of(version: Version) -> list[_Recipe]:
    """Return the recipe that a registered model was trained by, and popularity beside it."""
    trouble = f"{version.name} (version {version.number}) can no longer be trained"
    try:
        space = family(version.family).hyper_parameters
        params = space.model_validate_json(version.tags["params"]).model_dump(mode="json")
    except (BadRequest, KeyError) as error:
        raise RegistryError(f"{trouble}: {error}") from error
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        raise RegistryError(
            f"{trouble}: the hyper-parameters of {version.family!r} have changed ({fields})"
        ) from error
    own = _Recipe(
        name=version.name, kind=f"version {version.number}", family=version.family, params=params
    )
    return [own, *_default_recipes([POPULAR])]


def _default_recipes(families: Sequence[str]) -> list[_Recipe]:
    names = dict.fromkeys(
        families
        or [
            name
            for name, one in FAMILIES.items()
            if one.objective == "ranking" and name not in RETIRED
        ]
    )
    for name in names:
        family(name)
    return [
        _Recipe(name=POPULARITY, kind=BASELINE, family=name)
        if name == POPULAR
        else _Recipe(name=name, kind="default", family=name)
        for name in names
    ]


def _read(data: str | None, split_seed: int, settings: Settings) -> _Data:
    pulled = ingest.pull(data, settings=settings)
    _, ratings, catalogue = to_arrays(
        read_movielens(
            Path(pulled["folder"]),
            bad_rows_share=settings.bad_rows_share,
            name=pulled["name"],
            synthetic=pulled["synthetic"],
        )
    )
    facts = DataFacts(
        name=pulled["name"],
        hash=pulled["hash"],
        synthetic=pulled["synthetic"],
        ratings=len(ratings),
        users=int(np.unique(ratings.users).size),
        movies=len(catalogue),
    )
    return _Data(
        ratings=ratings,
        catalogue=catalogue,
        development=development_split(ratings, split_seed),
        facts=facts,
    )


def _evaluate(
    recipe: _Recipe, data: _Data, seed: int, split_seed: int, threads: int, say: OnProgress
) -> ModelReport:
    say(f"{recipe.name}: training for validation")
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
        )
    evaluation = fit.evaluate(
        trained,
        data.ratings,
        catalogue=data.catalogue,
        seed=split_seed,
        on_progress=lambda part: say(f"{recipe.name}: {part}"),
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
