"""Choose the recipes that a retraining trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from moovier.errors import BadRequest
from moovier.jobs.retrain_plan import Recipe, RetrainPlan
from moovier.models.bundle import Card
from moovier.models.families import family
from moovier.models.neumf import NAME as EMBEDDINGS
from moovier.registry.version import Version

ReadCard = Callable[[Version], Card | None]


def family_recipes(
    plan: RetrainPlan, family_name: str, tuned: Mapping[str, Any] | None
) -> list[Recipe]:
    """Return the family's recipes to train, without duplicates.

    ``tuned``: the best hyper-parameters; None if no trial completed, then the defaults are trained.
    One trial has the defaults, so they need no candidate of their own, except for ``emb``: users of
    the API rely on the names of its default sizes.
    """
    candidates: list[Recipe] = []
    if family_name == EMBEDDINGS:
        candidates += [_default(family_name, f"{size}", size=size) for size in plan.embedding_sizes]
    elif tuned is None:
        candidates.append(_default(family_name, "default"))
    if tuned is not None:
        name = f"{family_name}-tuned"
        candidates.append(Recipe(id=name, kind="tuned", family=family_name, params=dict(tuned)))
    if plan.champion is not None and plan.champion.family == family_name:
        candidates.append(plan.champion)
    unique: list[Recipe] = []
    for recipe in candidates:
        if all(recipe.params != other.params for other in unique):
            unique.append(recipe)
    return unique


def _default(family_name: str, id_suffix: str, **overrides: Any) -> Recipe:
    """Return a recipe with default hyper-parameters except for ``overrides``."""
    params = family(family_name).hyper_parameters.model_validate(overrides)
    return Recipe(
        id=f"{family_name}-{id_suffix}",
        kind="default",
        family=family_name,
        params=params.model_dump(mode="json"),
    )


def champion_recipe(champion: Version, hold_out: str, read_card: ReadCard) -> Recipe | None:
    """Return the champion's recipe if a retraining has to train it.

    None if the champion has a result on this hold-out, or if its family or hyper-parameters no
    longer exist.
    """
    return None if champion.tags.get("hold_out") == hold_out else stored_recipe(champion, read_card)


def stored_recipe(champion: Version, read_card: ReadCard) -> Recipe | None:
    """Return the champion's recipe, or None if it can no longer be trained."""
    family_name, params = stored_params(champion, read_card)
    if not params:
        return None
    try:
        space = family(family_name).hyper_parameters
        values = space.model_validate(params).model_dump(mode="json")
    except (BadRequest, ValidationError):
        # An earlier version had other families or other hyper-parameters.
        return None
    return Recipe(
        id=f"{family_name}-champion-{champion.number}",
        kind="champion",
        family=family_name,
        params=values,
    )


def stored_params(version: Version, read_card: ReadCard) -> tuple[str, dict[str, Any]]:
    """Return the family and the hyper-parameters of a registered version.

    Where MLflow's record cannot be read, the card of the bundle, which ``read_card`` returns, has
    the same values; without a card the family is empty.
    """
    if version.family and version.params:
        return version.family, dict(version.params)
    card = read_card(version)
    return ("", {}) if card is None else (card.family, card.params)
