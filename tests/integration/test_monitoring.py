"""Monitoring raises an alarm on the real data only with a planted drift.

A quick part of `make bench-monitor`, which uses twenty seeds.
"""

from __future__ import annotations

import pytest

from benchmarks.drift_cases import WITH_DRIFT, WITHOUT_DRIFT, World
from benchmarks.monitor import drifted_statistics
from tests.integration.conftest import RealData

pytestmark = pytest.mark.real_data

#: Fewer draws than in a check, enough for a p-value of 0.01.
DRAWS = 200
#: Informative and quick cases without drift.
QUICK_CASES = (
    "same data",
    "new users (10 %)",
    "a few new users (1 %)",
    "copies, 10 ratings each",
    "copies, 200 ratings in total",
    "half of the users, then the others",
    "time passes (70-98 %, then all)",
)


@pytest.fixture(scope="module")
def world(real: RealData) -> World:
    return World(real.index, real.ratings, real.catalogue)


@pytest.mark.parametrize("name", QUICK_CASES)
def test_data_without_drift_raise_no_alarm(world: World, name: str) -> None:
    # One alarm in twenty may be false, so only two in a row prove a fault.
    alarms = (drifted_statistics(world, WITHOUT_DRIFT[name], seed, DRAWS) for seed in (101, 102))
    assert not all(alarms)


@pytest.mark.parametrize(
    ("name", "size", "figure"),
    [
        ("stars one star lower", "10 %, all", "stars"),
        ("stars half a star lower", "known", "rerated"),
        ("stars mirrored about the own mean", "10 %, half", "agreement"),
        ("rare movies", "3 %, all", "popularity"),
        ("one genre: Comedy", "10 %, all", "genres"),
        ("bots: one movie, five stars", "10 %, all", "crowd"),
        ("movies without earlier ratings", "3 %, all", "novel"),
    ],
)
def test_planted_drift_raises_an_alarm(world: World, name: str, size: str, figure: str) -> None:
    assert figure in drifted_statistics(world, WITH_DRIFT[name][size], 103, DRAWS)
