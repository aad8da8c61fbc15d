"""Tests whose lists the cluster makes equal those of the single machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Histories
from moovier.evaluation import ranking
from moovier.jobs import evaluate
from moovier.models.families import family
from moovier.models.family import Arrays
from moovier.settings import Settings
from moovier.spark import evaluation
from moovier.spark.shared_folder import SharedFolder
from moovier.training import protocols
from tests.integration.test_large_retraining import visits
from tests.unit.models.random_arrays import N_COVERED, N_MOVIES, SIZE, dae_arrays, random_ratings

pytestmark = pytest.mark.spark


def arrays_of(name: str) -> Arrays:
    random = np.random.default_rng(8)
    if name == "dae":
        return dae_arrays(random)
    vectors = random.standard_normal((N_COVERED, SIZE)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    shared = {
        "covered": np.sort(random.choice(N_MOVIES, N_COVERED, replace=False)),
        "counts": random.integers(0, 90, N_MOVIES),
        "asking": np.array([2.0, 30.0]),
    }
    own: dict[str, dict[str, Any]] = {
        "ease": {"weights": (vectors @ vectors.T).astype(np.float16)},
        "elsa": {"vectors": vectors},
        "als": {
            "factors": vectors,
            "gram": vectors.T.astype(np.float64) @ vectors,
            "equation": np.array([5.0, 0.1]),
        },
    }
    return {**shared, **own[name]}


@pytest.mark.parametrize("name", ["dae", "ease", "elsa", "als"])
def test_lists_equal_those_of_one_machine(
    name: str, open_session: Callable[[], Any], tmp_path: Path
) -> None:
    arrays = arrays_of(name)
    # Three batches for two tasks; the last one is short.
    known: Histories = random_ratings(2, n_users=700, n_movies=N_MOVIES).histories
    users = np.random.default_rng(1).permutation(700)[:600]
    scorer = evaluation.scorer_of(
        name,
        arrays,
        open_cluster=open_session,
        folder=SharedFolder(str(tmp_path / "tests")),
        threads=1,
    )
    lists = ranking.top_lists(scorer, users, known, 10)
    expected = ranking.top_lists(family(name).scorer(arrays), users, known, 10)
    np.testing.assert_array_equal(lists, expected)
    assert np.unique(lists).size > 20
    assert not list((tmp_path / "tests").glob("*"))


def test_a_bucket_can_be_the_shared_folder(open_session: Callable[[], Any], buckets: Path) -> None:
    arrays = arrays_of("als")
    known = random_ratings(2, n_users=90, n_movies=N_MOVIES).histories
    scorer = evaluation.scorer_of(
        "als",
        arrays,
        open_cluster=open_session,
        folder=SharedFolder("s3a://bucket-true/tests"),
        threads=1,
    )
    lists = ranking.top_lists(scorer, np.arange(90), known, 10)
    expected = ranking.top_lists(family("als").scorer(arrays), np.arange(90), known, 10)
    np.testing.assert_array_equal(lists, expected)
    assert not [path for path in (buckets / "bucket-true" / "tests").rglob("*") if path.is_file()]


def test_evaluation_equals_that_of_one_machine(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "LARGE", 100)
    options: dict[str, Any] = {
        "data": str(visits(tmp_path / "data")),
        "families": ["ease", "popular"],
    }
    local = settings.model_copy(update={"engine": "local", "home": tmp_path / "local"})
    expected = evaluate.evaluate(**options, settings=local)
    asked: list[str] = []
    lists = evaluation.ClusterScorer.top_lists

    def top_lists(self: Any, *given: Any) -> Any:
        asked.append(self._name)
        return lists(self, *given)

    monkeypatch.setattr(evaluation.ClusterScorer, "top_lists", top_lists)
    actual = evaluate.evaluate(**options, settings=settings)
    assert asked == ["ease", "ease"]
    assert len(actual.models) == len(expected.models) > 1
    for one, other in zip(actual.models, expected.models, strict=True):
        exclude = {"fit_s"}
        assert one.model_dump(exclude=exclude) == other.model_dump(exclude=exclude)
    assert any(model.visitor and model.next_visit for model in actual.models)
