from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from moovier.jobs.recipes import champion_recipe, family_recipes
from moovier.jobs.retrain_plan import Recipe, RetrainPlan
from moovier.models.bundle import Card, DataFacts
from moovier.models.families import family
from moovier.registry.version import Version
from tests.fixtures import RANKING, toy_bundle

FACTS = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=1, users=1, movies=1)


def no_card(_version: Version) -> Card | None:
    """Return no card, as for a version without a bundle."""
    return None


def plan(champion: Recipe | None = None, sizes: tuple[int, ...] = (50, 25, 10)) -> RetrainPlan:
    return RetrainPlan(
        key="k",
        folder=Path("retrain/k"),
        run_id="r",
        data=FACTS,
        hold_out="toy.dir/visitor-next-visit-1",
        champion=champion,
        trials=1,
        families=("emb", RANKING),
        embedding_sizes=sizes,
        seed=0,
        work=(),
    )


def params(family_name: str, **changed: Any) -> dict[str, Any]:
    return family(family_name).hyper_parameters.model_validate(changed).model_dump(mode="json")


def champion(hold_out: str | None = None) -> Version:
    tags = {} if hold_out is None else {"hold_out": hold_out}
    return Version(
        number=3,
        name=f"moovier_{RANKING}_7_trained_0",
        family=RANKING,
        run_id="r",
        aliases=("champion",),
        tags=tags,
        created_at=datetime.now(UTC),
        parent=None,
        metrics={},
        status="READY",
        params={"size": 7},
    )


def test_emb_trains_its_default_sizes_and_the_tuned_one() -> None:
    tuned = params("emb", size=17)
    recipes = family_recipes(plan(), "emb", tuned)
    assert [recipe.id for recipe in recipes] == ["emb-50", "emb-25", "emb-10", "emb-tuned"]
    assert [recipe.params["size"] for recipe in recipes] == [50, 25, 10, 17]
    assert recipes[1].params == params("emb", size=25)


def test_family_without_a_completed_trial_trains_its_defaults() -> None:
    (only,) = family_recipes(plan(), RANKING, None)
    assert only.params == params(RANKING)
    assert only.kind == "default"
    assert [recipe.kind for recipe in family_recipes(plan(), "emb", None)] == ["default"] * 3


def test_champion_of_other_data_is_a_candidate_of_its_family() -> None:
    recipe = champion_recipe(champion("older.dir/by-time-0.2"), plan().hold_out, no_card)
    assert recipe is not None
    recipes = family_recipes(plan(recipe), RANKING, params(RANKING, size=64))
    assert [recipe.id for recipe in recipes] == [
        f"{RANKING}-{end}" for end in ("tuned", "champion-3")
    ]
    assert recipe not in family_recipes(plan(recipe), "emb", None)


def test_equal_recipes_are_trained_once() -> None:
    same_as_default = Recipe(
        id="emb-champion-3", kind="champion", family="emb", params=params("emb", size=10)
    )
    tuned = params("emb", size=25)
    ids = [recipe.id for recipe in family_recipes(plan(same_as_default), "emb", tuned)]
    assert ids == ["emb-50", "emb-25", "emb-10"]


def test_champion_with_a_result_on_this_hold_out_needs_no_recipe() -> None:
    assert champion_recipe(champion(plan().hold_out), plan().hold_out, no_card) is None


@pytest.mark.parametrize(
    ("family_name", "stored"), [("gone", {"size": 7}), (RANKING, {"unheard_of": 1}), (RANKING, {})]
)
def test_champion_that_can_no_longer_be_trained_has_no_recipe(
    family_name: str, stored: dict[str, Any]
) -> None:
    version = dataclasses.replace(champion(), family=family_name, params=stored)
    assert champion_recipe(version, plan().hold_out, no_card) is None


@pytest.mark.parametrize(("family_name", "stored"), [("", {"size": 7}), (RANKING, {})])
def test_unreadable_record_is_replaced_by_the_card_of_the_bundle(
    family_name: str, stored: dict[str, Any]
) -> None:
    card = toy_bundle(family=RANKING, params=params(RANKING)).card
    version = dataclasses.replace(champion(), family=family_name, params=stored)
    recipe = champion_recipe(version, plan().hold_out, lambda _version: card)
    assert recipe is not None
    assert (recipe.family, recipe.params) == (RANKING, params(RANKING))
