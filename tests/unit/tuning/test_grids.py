"""A grid limits the search of some parameters to a few values."""

from __future__ import annotations

import optuna

from moovier.models.ease import EaseFamily, EaseParams
from moovier.tuning.grids import OnGrids, on_grid

GRIDS = {"lambda_": (100.0, 200.0), "star_power": (2.0,), "size": (3,)}


def test_parameters_with_a_grid_have_its_values_and_others_their_range() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [EaseFamily().search_space(OnGrids(study.ask(), GRIDS)) for _ in range(20)]
    params = [values for values in found if isinstance(values, EaseParams)]
    assert {values.lambda_ for values in params} == {100.0, 200.0}
    assert {(values.star_power, values.size) for values in params} == {(2.0, 3)}
    assert len({values.half_life for values in params}) == 20


def test_best_trial_on_a_grid_is_read_like_any_other() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    params = EaseFamily().search_space(OnGrids(trial, GRIDS))
    assert EaseFamily().search_space(optuna.trial.FixedTrial(trial.params)) == params


def test_a_value_outside_a_grid_becomes_the_nearest_one() -> None:
    assert on_grid(128, None) == 128
    assert on_grid(128, (32, 64)) == 64
    assert on_grid(0.3, (0.1, 0.35, 1.0)) == 0.35
    assert on_grid("a", ("b", "a")) == "a"
