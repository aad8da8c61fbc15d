"""The sums that trainings share exist for large data only, and are those of the training part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from moovier.data.catalogue import Catalogue, Movie
from moovier.data.ratings import Index
from moovier.data.split import development_split
from moovier.jobs import shared_statistics
from moovier.jobs.dataset import Dataset
from moovier.models import ease
from moovier.models.dae_scoring import DaeParams
from moovier.settings import Settings
from tests.unit.jobs.toy_plan import FACTS, plan_in
from tests.unit.models.random_arrays import random_ratings

MOST = 7


@pytest.fixture(scope="module")
def data() -> Dataset:
    ratings = random_ratings(0, n_users=60, n_movies=20)
    index = Index(np.arange(60), np.arange(20))
    movies = (Movie(row, f"Movie {row}", None, (), None, None) for row in range(20))
    return Dataset(index, ratings, Catalogue.of(movies), FACTS)


@pytest.fixture(autouse=True)
def _threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # The limit would stay for the tests that follow in this process.
    monkeypatch.setattr(shared_statistics, "limit_threads", lambda _threads: None)


def test_small_data_share_no_sums(tmp_path: Path, data: Dataset) -> None:
    plan = plan_in(tmp_path)
    shared_statistics.prepare(plan, data, Settings(home=tmp_path))
    assert not plan.folder.exists()
    assert shared_statistics.statistics_of(plan, data, Settings(home=tmp_path)) is None


def test_families_without_item_weights_need_no_sums(tmp_path: Path, data: Dataset) -> None:
    plan = plan_in(tmp_path, covered=MOST, families=("taste", "emb"))
    shared_statistics.prepare(plan, data, Settings(home=tmp_path))
    assert not plan.covered_file.exists()


@pytest.mark.parametrize("families", [("ease",), ("emb", "dae")])
def test_the_most_rated_movies_of_the_training_part_are_covered(
    tmp_path: Path, data: Dataset, families: tuple[str, ...]
) -> None:
    plan = plan_in(tmp_path, covered=MOST, families=families)
    shared_statistics.prepare(plan, data, Settings(home=tmp_path))
    covered = np.load(plan.covered_file)
    counts = development_split(data.ratings).train.histories.movie_counts()
    assert covered.size == MOST
    assert (np.diff(covered) > 0).all()
    assert counts[covered].min() >= np.delete(counts, covered).max()


def test_a_training_gets_the_weights_that_it_would_compute(tmp_path: Path, data: Dataset) -> None:
    plan = plan_in(tmp_path, covered=MOST)
    shared_statistics.prepare(plan, data, Settings(home=tmp_path))
    statistics = shared_statistics.statistics_of(plan, data, Settings(home=tmp_path))
    assert statistics is not None
    train, defaults = development_split(data.ratings).train.histories, DaeParams()
    covered = np.load(plan.covered_file)
    params = ease.EaseParams(
        size=defaults.least, lambda_=defaults.lambda_, star_power=defaults.star_power
    )
    np.testing.assert_allclose(
        ease.solve(train, covered, params, statistics).astype(float),
        ease.solve(train, covered, params).astype(float),
        atol=2e-3,
    )
