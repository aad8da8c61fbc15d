"""A job ends well although a worker is killed while its stage runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from moovier.data import columns
from moovier.jobs import engine
from moovier.settings import Settings
from moovier.spark import history_parts, rating_blocks
from tests.fixtures import toy_movielens
from tests.spark.standalone import Cluster, standalone

pytestmark = pytest.mark.spark
PATIENCE_S = 240.0


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of this test alone."""
    folder = tmp_path / "cluster"
    folder.mkdir()
    with standalone(folder) as running:
        yield running


def test_killed_worker_costs_time_but_no_rating(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = toy_movielens(tmp_path / "data", users=200)
    monkeypatch.setattr(rating_blocks, "BLOCK_BYTES", 800)
    monkeypatch.setattr(history_parts, "PART_RATINGS", 400)
    home = tmp_path / "home"
    settings = Settings(home=home, engine="spark", spark_master=cluster.url)
    shared = home / "spark" / "histories" / "abc-0"
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(engine.parsed, folder, "abc.dir", settings, name="toy", synthetic=False)
        deadline = time.monotonic() + PATIENCE_S
        while len(list(shared.glob("_staging/block-*"))) < 3:
            assert time.monotonic() < deadline
            assert not job.done(), job.exception()
            time.sleep(0.01)
        cluster.kill(cluster.workers[0])
        assert not list(shared.glob("part-*")), "the first stage was over before the worker's end"
        actual, _ = job.result(timeout=PATIENCE_S)
    cluster.wait_for_workers(1)
    expected, _ = columns.parsed(
        folder, "abc.dir", Settings(home=tmp_path / "local"), name="toy", synthetic=False
    )
    np.testing.assert_array_equal(actual.index.users, expected.index.users)
    for name in ("offsets", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(
            getattr(actual.histories, name), getattr(expected.histories, name)
        )
