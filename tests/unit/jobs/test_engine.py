"""Spark is optional: nothing imports it unless the settings name a cluster."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from moovier.errors import SettingsError
from moovier.jobs import engine, ingest
from moovier.jobs.dataset import parse_dataset
from moovier.jobs.shared_statistics import cluster_of
from moovier.models.factorisation import Factorisation
from moovier.settings import Settings
from tests.fixtures import toy_movielens

_SCRIPT = """
import sys
# Where Spark is installed, pandera would import it.
sys.modules["pyspark"] = None
import moovier.jobs.batch, moovier.jobs.ingest, moovier.jobs.retrain
assert not {name for name in sys.modules if name.startswith(("moovier.spark", "pyspark."))}
"""


def test_jobs_import_no_spark() -> None:
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True)


def test_local_engine_parses_on_this_machine(tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data")
    settings = Settings(home=tmp_path / "home")
    data, _ = engine.parsed(folder, "abc.dir", settings, name="toy", synthetic=False)
    assert data.histories.movies.size == 60 * 10
    assert (
        engine.sum_on_cluster(data.index, data.histories, "abc", data.index.movies, settings)
        is None
    )


def test_local_engine_has_no_cluster_for_trainings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    data = parse_dataset(
        ingest.pull(str(toy_movielens(tmp_path / "data")), settings=settings), settings
    )
    assert cluster_of(data, settings) is None
    cluster = cluster_of(data, settings.model_copy(update={"engine": "spark"}))
    assert cluster is not None
    options = Factorisation(2, 1, alpha=1.0, reg=0.1, star_power=1.0, seed=0)
    with pytest.raises(SettingsError, match="MOOVIER_SPARK_MASTER is not set"):
        cluster.factorise(data.ratings.histories, np.array([0, 1]), options)
    assert not list((settings.path("spark") / "trainings").glob("*"))


def test_engine_without_a_master_is_a_clear_error(tmp_path: Path) -> None:
    folder = toy_movielens(tmp_path / "data")
    settings = Settings(home=tmp_path / "home", engine="spark")
    with pytest.raises(SettingsError, match="MOOVIER_SPARK_MASTER is not set"):
        engine.parsed(folder, "abc.dir", settings, name="toy", synthetic=False)
