"""Lists made by several tasks equal those of one machine; the tasks run here, without Spark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.evaluation import ranking
from moovier.models.als import AlsFamily
from moovier.models.ease import EaseFamily, EaseParams
from moovier.models.families import family
from moovier.models.family import FitContext
from moovier.spark import evaluation, tasks
from moovier.spark.evaluation import ClusterScorer
from moovier.spark.shared_folder import SharedFolder
from tests.contracts import toy
from tests.unit.models.random_arrays import random_ratings

RATINGS = random_ratings(1, n_users=23, n_movies=40)


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The users of each task."""
    found: list[tuple[int, int]] = []

    def run(_spark: Any, function: Callable[[int], Any], count: int) -> list[Any]:
        found.extend(function.args[0].spans)  # type: ignore[attr-defined]
        return [function(number).tolist() for number in range(count)]

    monkeypatch.setattr(ranking, "BATCH", 4)
    monkeypatch.setattr(tasks, "run", run)
    monkeypatch.setattr(tasks, "parallelism", lambda _: 4)
    return found


def scorer_of(name: str, arrays: Any, folder: Path) -> Any:
    return evaluation.scorer_of(
        name,
        arrays,
        open_cluster=lambda: nullcontext(None),
        folder=SharedFolder(str(folder)),
        threads=1,
    )


@pytest.mark.parametrize("kind", [EaseFamily(), AlsFamily()], ids=["ease", "als"])
def test_lists_of_tasks_equal_those_of_one_machine(
    kind: Any, tmp_path: Path, spans: list[tuple[int, int]]
) -> None:
    params = EaseParams(size=1) if kind.name == "ease" else kind.hyper_parameters(size=4)
    fitted = kind.fit(RATINGS, params, FitContext(toy.catalogue(), seed=0, epochs=1))
    scorer = scorer_of(kind.name, fitted.arrays, tmp_path / "tests")
    users = np.arange(22, 0, -1)
    assert isinstance(scorer, ClusterScorer)
    lists = ranking.top_lists(scorer, users, RATINGS.histories, 5)
    local = kind.scorer(fitted.arrays)
    expected = ranking.top_lists(local, users, RATINGS.histories, 5, batch=4)
    np.testing.assert_array_equal(lists, expected)
    # Whole batches, so that the same users are scored together.
    assert spans == [(0, 4), (4, 12), (12, 16), (16, 22)]
    assert not list((tmp_path / "tests").glob("*"))
    history = RATINGS.histories[3]
    np.testing.assert_array_equal(scorer.fold_in(history), local.fold_in(history))


def test_no_users_need_no_cluster(tmp_path: Path) -> None:
    def fail() -> Any:
        raise AssertionError("the cluster was asked")

    arrays = {"counts": np.arange(RATINGS.n_movies)}
    scorer = ClusterScorer(
        "popular", arrays, open_cluster=fail, folder=SharedFolder(str(tmp_path)), threads=1
    )
    lists = scorer.top_lists(np.zeros(0, dtype=np.int64), RATINGS.histories, 5)
    assert lists.shape == (0, 5)


def test_popularity_is_listed_on_this_machine(tmp_path: Path) -> None:
    arrays = {"counts": np.arange(RATINGS.n_movies)}
    scorer = scorer_of("popular", arrays, tmp_path)
    assert isinstance(scorer, type(family("popular").scorer(arrays)))
