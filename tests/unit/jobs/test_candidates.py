from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from moovier.jobs import candidates
from moovier.jobs.retrain_plan import Plan, Recipe
from moovier.models.bundle import DataFacts
from moovier.models.families import family
from moovier.registry.version import Version
from tests.fixtures import RANKING

FACTS = DataFacts(name="toy", hash="toy.dir", synthetic=True, ratings=1, users=1, movies=1)


def plan(champion: Recipe | None = None, sizes: tuple[int, ...] = (50, 25, 10)) -> Plan:
    return Plan(
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
    tags = {"params": '{"size": 7}'} | ({} if hold_out is None else {"hold_out": hold_out})
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
    )


def test_emb_has_its_default_sizes_and_the_tuned_one() -> None:
    tuned = params("emb", size=17)
    recipes = candidates.recipes(plan(), "emb", tuned)
    assert [recipe.id for recipe in recipes] == ["emb-50", "emb-25", "emb-10", "emb-tuned"]
    assert [recipe.params["size"] for recipe in recipes] == [50, 25, 10, 17]
    assert recipes[1].params == params("emb", size=25)


def test_a_family_that_found_nothing_is_trained_with_its_defaults() -> None:
    (only,) = candidates.recipes(plan(), RANKING, None)
    assert only.params == params(RANKING)
    assert only.kind == "default"
    assert [one.kind for one in candidates.recipes(plan(), "emb", None)] == ["default"] * 3


def test_a_champion_of_other_data_is_a_candidate_of_its_own_family() -> None:
    recipe = candidates.recipe_of(champion("older.dir/by-time-0.2"), plan().hold_out)
    assert recipe is not None
    recipes = candidates.recipes(plan(recipe), RANKING, params(RANKING, size=64))
    assert [one.id for one in recipes] == [f"{RANKING}-{end}" for end in ("tuned", "champion-3")]
    assert recipe not in candidates.recipes(plan(recipe), "emb", None)


def test_a_recipe_that_comes_twice_is_trained_once() -> None:
    again = Recipe(
        id="emb-champion-3", kind="champion", family="emb", params=params("emb", size=10)
    )
    ids = [one.id for one in candidates.recipes(plan(again), "emb", params("emb", size=25))]
    assert ids == ["emb-50", "emb-25", "emb-10"]


def test_a_champion_with_a_result_on_this_hold_out_needs_no_recipe() -> None:
    assert candidates.recipe_of(champion(plan().hold_out), plan().hold_out) is None


@pytest.mark.parametrize(
    ("family_name", "said"),
    [
        ("gone", '{"size": 7}'),
        (RANKING, '{"unheard_of": 1}'),
        (RANKING, "{}"),
        (RANKING, "no JSON"),
    ],
)
def test_a_champion_that_can_no_longer_be_trained_has_no_recipe(
    family_name: str, said: str
) -> None:
    there = dataclasses.replace(champion(), family=family_name, tags={"params": said})
    recipe = candidates.recipe_of(there, plan().hold_out)
    assert (recipe is None) == (said != "{}")
