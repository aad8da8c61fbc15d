"""Sums of the cluster equal those of the single machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.data.ratings import Index
from moovier.models import item_statistics
from moovier.models.item_statistics import Weighting
from moovier.spark import history_parts, statistics, tasks
from moovier.spark.shared_folder import SharedFolder
from tests.unit.models.random_arrays import random_ratings

pytestmark = pytest.mark.spark


def test_sums_equal_those_of_one_machine(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_parts, "PART_RATINGS", 100)
    # Several blocks of rows for each sum, and more tasks than one level of the tree adds.
    monkeypatch.setattr(statistics, "_BLOCK_VALUES", 50)
    monkeypatch.setattr(tasks, "parallelism", lambda _: 7)
    histories = random_ratings(5, n_users=120, n_movies=25).histories
    index = Index(np.arange(120) * 3 + 1, np.arange(25) * 2 + 10)
    parts = history_parts.store(SharedFolder(str(tmp_path)), index, histories)
    assert len(parts.numbers) >= 7
    covered = np.array([1, 2, 3, 5, 8, 13, 20, 21, 22, 23, 24])
    weighting = Weighting(1.5, 40.0)
    actual = statistics.gram(spark, parts, index.movies, covered, weighting)
    expected = item_statistics.gram(histories, covered, weighting)
    assert expected.max() > 1
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    counts = statistics.movie_counts(spark, parts, index.movies)
    np.testing.assert_array_equal(counts, histories.movie_counts())


def test_large_sum_of_one_task_fits_into_an_executor(
    spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "parallelism", lambda _: 1)
    n_movies = 6000
    histories = random_ratings(7, n_users=50, n_movies=n_movies).histories
    index = Index(np.arange(50), np.arange(n_movies))
    parts = history_parts.store(SharedFolder(str(tmp_path)), index, histories)
    covered = np.arange(n_movies)
    weighting = Weighting(1.0, 40.0)
    # 288 MB, of which Java would hold three copies beside each other.
    actual = statistics.gram(spark, parts, index.movies, covered, weighting)
    np.testing.assert_allclose(
        actual, item_statistics.gram(histories, covered, weighting), rtol=1e-5, atol=1e-5
    )


def test_stored_parts_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_parts, "PART_RATINGS", 30)
    histories = random_ratings(6, n_users=40, n_movies=9).histories
    index = Index(np.arange(40) + 5, np.arange(9) + 100)
    parts = history_parts.store(SharedFolder(str(tmp_path)), index, histories)
    users, read = history_parts.read_all(parts, index.movies)
    np.testing.assert_array_equal(users.users, index.users)
    for name in ("offsets", "movies", "stars", "timestamps"):
        np.testing.assert_array_equal(getattr(read, name), getattr(histories, name))
