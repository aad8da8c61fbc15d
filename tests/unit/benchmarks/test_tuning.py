"""Compare one tuning worker with two on toy data."""

from __future__ import annotations

from pathlib import Path

from benchmarks.tuning import draw_params, measure
from tests.fixtures import RANKING, toy_movielens


def test_both_sides_get_the_same_trials() -> None:
    first, second = draw_params(RANKING, 3), draw_params(RANKING, 3)
    assert first == second
    assert len({str(params) for params in first}) == 3


def test_two_workers_finish_all_trials(tmp_path: Path) -> None:
    run = measure(
        RANKING,
        draw_params(RANKING, 3),
        2,
        str(tmp_path / "study.journal"),
        str(toy_movielens(tmp_path / "data")),
    )
    assert (run.workers, run.trials) == (2, 3)
    assert run.wall_s > 0
    assert run.start_s > 0
