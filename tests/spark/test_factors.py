"""MLlib trains `als` on the cluster; one machine scores with the same equations."""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Floats, Index
from moovier.data.split import split_last_share
from moovier.evaluation import ranking
from moovier.jobs import retrain
from moovier.jobs.registration import open_registry
from moovier.models import als_training
from moovier.models.als_scoring import AlsParams, AlsScorer
from moovier.registry.version import CHAMPION
from moovier.settings import Settings
from moovier.spark import factors, history_parts, tasks
from moovier.spark.shared_folder import SharedFolder
from moovier.training import protocols
from tests.integration.test_large_retraining import visits
from tests.servers import Server
from tests.spark.groups import group_ratings

pytestmark = [pytest.mark.spark, pytest.mark.timeout(1200)]
PARAMS = AlsParams(size=8, asking_half_life=1e12, alpha=5.0, reg=0.05)
RATINGS = group_ratings()
INDEX = Index(np.arange(RATINGS.n_users) * 3 + 1, np.arange(RATINGS.n_movies) * 2 + 10)
COVERED = np.flatnonzero(RATINGS.histories.movie_counts() >= 3)


@pytest.fixture(autouse=True)
def _several_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_parts, "PART_RATINGS", 1000)


def scorer_of(found: Floats) -> AlsScorer:
    counts = RATINGS.histories.movie_counts()
    return AlsScorer(als_training.arrays_of(found, COVERED, counts, PARAMS))


def test_a_folded_in_user_has_the_factor_of_mllib(spark: Any, tmp_path: Path) -> None:
    parts = history_parts.store(SharedFolder(str(tmp_path)), INDEX, RATINGS.histories)
    assert len(parts.numbers) > 2
    scratch = SharedFolder(str(tmp_path / "scratch"))
    factors._write_counts(scratch, INDEX, RATINGS.histories.counts())
    work = factors._Work(parts, INDEX.movies, COVERED, PARAMS.star_power, scratch)
    frame = tasks.numbers(spark, len(parts.numbers)).mapInArrow(
        partial(factors._ratings, work), factors._TYPES
    )
    model = factors.train(spark, frame, als_training.options_of(PARAMS, seed=3))
    movies = model.itemFactors.toArrow().sort_by("id")
    assert movies["id"].to_pylist() == list(range(COVERED.size))
    scorer = scorer_of(np.array(movies["features"].to_pylist(), dtype=np.float32))
    users = model.userFactors.toArrow().to_pydict()
    assert len(users["id"]) == np.count_nonzero(RATINGS.histories.counts())
    for user, expected in zip(users["id"], users["features"], strict=True):
        actual = scorer.user_factor(RATINGS.histories[user])
        assert actual is not None
        np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-4)


def test_factors_of_the_cluster_rank_as_well_as_those_of_one_machine(
    spark: Any, tmp_path: Path
) -> None:
    earlier, later = split_last_share(RATINGS)
    folder = SharedFolder(str(tmp_path))
    parts = history_parts.store(folder, INDEX, RATINGS.histories)
    counts = factors.first_counts(RATINGS.histories, earlier.histories)
    assert counts.sum() < len(RATINGS)
    options = als_training.options_of(PARAMS, seed=0)
    scratch = folder.folder("scratch")
    found = factors.factorise(spark, parts, INDEX, counts, COVERED, options, scratch)
    assert not Path(scratch.url).exists()
    local = als_training.factorise(earlier.histories, COVERED, options)
    untrained = als_training.factorise(earlier.histories, COVERED, replace(options, iterations=1))
    on_cluster, on_machine, worse = (
        ranking.evaluate(scorer_of(each), earlier.histories, later).metrics()["ndcg_at_10"]
        for each in (found, local, untrained)
    )
    assert on_machine > 0.15
    assert abs(on_cluster - on_machine) < 0.03
    # The later ratings were not trained on: with them the lists would be much better.
    whole = factors.factorise(
        spark, parts, INDEX, RATINGS.histories.counts(), COVERED, options, scratch
    )
    leaked = ranking.evaluate(scorer_of(whole), earlier.histories, later)
    assert np.abs(whole - found).max() > 0.01
    assert leaked.metrics()["ndcg_at_10"] > on_cluster
    assert worse < on_cluster + 0.03


def test_a_bucket_can_be_the_shared_folder(spark: Any, buckets: Path) -> None:
    folder = SharedFolder("s3a://bucket-true/factors")
    parts = history_parts.store(folder, INDEX, RATINGS.histories)
    options = als_training.options_of(PARAMS, seed=0)
    found = factors.factorise(
        spark,
        parts,
        INDEX,
        RATINGS.histories.counts(),
        COVERED,
        replace(options, iterations=1),
        folder.folder("scratch"),
    )
    assert np.abs(found).max(axis=1).min() > 0
    stored = {path.name for path in (buckets / "bucket-true" / "factors").rglob("*.parquet")}
    assert "part-00000.parquet" in stored
    assert "counts.parquet" not in stored


_SERVING = """
import sys
from pathlib import Path
from moovier.models import bundle
from moovier.serving.recommender import Recommender
loaded = bundle.load(Path(sys.argv[1]))
assert loaded.card.family == "als", loaded.card
recommender = Recommender(loaded)
(answer,) = recommender.recommend([int(loaded.index.users[0])], 5)
assert len(answer.items) == 5 and answer.source == "model", answer
assert not {name for name in sys.modules if name.startswith(("pyspark", "py4j", "tensorflow"))}
"""


def test_a_retraining_registers_als_of_the_cluster(
    settings: Settings, mlflow: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "LARGE", 100)
    own = f"spark-{uuid.uuid4().hex[:8]}"
    settings = settings.model_copy(
        update={
            "data": str(visits(tmp_path / "data")),
            "mlflow_tracking_uri": mlflow.address,
            "registered_model": own,
            "experiment": own,
            "train_threads": 1,
        }
    )
    config = {"families": ["als"], "trials": 1}
    steps: list[str] = []
    decision = retrain.retrain_all(config, steps.append, settings=settings)
    assert any("evaluating als-tuned: visitor and next visit" in step for step in steps)
    registry = open_registry(settings)
    version = registry.resolve(str(decision["version"]))
    assert version.family == "als"
    assert {"visitor_ndcg_at_10", "next_visit_ndcg_at_10"} <= version.metrics.keys()
    if decision["promote"]:
        assert registry.resolve(CHAMPION).number == version.number
    registry.load_bundle(version, tmp_path / "bundle")
    subprocess.run([sys.executable, "-c", _SERVING, str(tmp_path / "bundle")], check=True)
    assert not list(settings.path("spark", "trainings").glob("*"))
    assert not list(settings.path("spark", "tests").glob("*"))
