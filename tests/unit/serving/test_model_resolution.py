"""The model of a request is loaded only if it is not in memory."""

from __future__ import annotations

from typing import Any

import pytest

from moovier.errors import UnknownModel
from moovier.experiments.experiment import Experiment
from moovier.serving.experiment_routing import ActiveExperiment
from moovier.serving.model_resolution import assign_model, resolve_model
from tests.unit.serving.toy_context import CHAMPION, OTHER, Toy, champion, rating_model


def assign(toy: Toy, name: str | None, *users: int) -> Any:
    return toy.run(assign_model(toy.context.model_store, name, users))


@pytest.mark.parametrize("name", [None, CHAMPION, "champion"])
def test_a_model_in_memory_answers_at_once(toy: Toy, name: str | None) -> None:
    assert assign(toy, name).model is champion()
    assert toy.models.loads == []


def test_another_model_is_loaded_by_name(toy: Toy) -> None:
    assert assign(toy, OTHER, 7) == (rating_model(), "other", None)
    assert toy.models.loads == [OTHER]
    with pytest.raises(UnknownModel, match="nope"):
        assign(toy, "nope")


def test_before_the_first_champion_the_default_is_loaded(toy: Toy) -> None:
    toy.models.champion = None
    assert toy.run(resolve_model(toy.context.model_store)) is champion()
    assert toy.models.loads == [None]


def test_a_model_that_cannot_become_champion_answers_as_another(toy: Toy) -> None:
    toy.models.champion = None
    toy.models.default = rating_model  # type: ignore[method-assign]
    assert assign(toy, None, 7) == (rating_model(), "other", None)


def test_users_of_an_experiment_get_its_challenger(toy: Toy) -> None:
    plan = Experiment(id="autumn", mode="canary", share=0.5, started_at=1, salt="x")
    toy.models.experiment = ActiveExperiment.of(plan, champion(), rating_model())
    taken = [user for user in range(1, 50) if plan.takes(user)]
    left = [user for user in range(1, 50) if not plan.takes(user)]
    assert assign(toy, None, *taken[:2]).model is rating_model()
    assert assign(toy, None, taken[0], left[0]).model is champion()
    assert assign(toy, CHAMPION, taken[0]).model is champion()
    # Also where the champion has to be loaded first.
    toy.models.champion = None
    assert assign(toy, None, taken[0]).model is rating_model()
    assert toy.models.loads == [None]
