"""Alarms on the real data: none without a drift, one with a planted drift. A cheap part of
`make bench-monitor`, which counts over twenty seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.drift_cases import WITH_DRIFT, WITHOUT_DRIFT, World
from benchmarks.monitor import drifted_statistics
from moovier.data.movielens import read_movielens, to_arrays

pytestmark = pytest.mark.real_data

#: Fewer than a look draws: enough for a p of 0.01.
DRAWS = 200
#: Those that tell more than they cost.
CALM = (
    "same data",
    "new users (10 %)",
    "a few new users (1 %)",
    "copies, 10 ratings each",
    "copies, 200 ratings in total",
    "half of the users, then the others",
    "time passes (70-98 %, then all)",
)


@pytest.fixture(scope="module")
def world(real_data: Path) -> World:
    return World(*to_arrays(read_movielens(real_data)))


@pytest.mark.parametrize("name", CALM)
def test_without_a_drift_there_is_no_alarm(world: World, name: str) -> None:
    found = [drifted_statistics(world, WITHOUT_DRIFT[name], seed, DRAWS) for seed in (101, 102)]
    # One of twenty may be false, so one of two is no proof; both are.
    assert not all(found), found


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
def test_a_planted_drift_is_an_alarm(world: World, name: str, size: str, figure: str) -> None:
    assert figure in drifted_statistics(world, WITH_DRIFT[name][size], 103, DRAWS)
