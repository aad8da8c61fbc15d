"""The comparison of one tuning worker with two, on toy data."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tuning import drawn, measure
from tests.fixtures import RANKING, toy_movielens


def test_both_sides_get_the_same_trials() -> None:
    once, again = drawn(RANKING, 3), drawn(RANKING, 3)
    assert once == again
    assert len({str(params) for params in once}) == 3


def test_two_workers_work_one_budget_off(tmp_path: Path) -> None:
    run = measure(
        RANKING,
        drawn(RANKING, 3),
        2,
        str(tmp_path / "study.journal"),
        str(toy_movielens(tmp_path / "data")),
    )
    assert (run.workers, run.trials) == (2, 3)
    assert run.wall_s > 0
    assert run.start_s > 0
