"""What the tasks of the training of `als` read, without Spark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from moovier.data.ratings import Histories
from moovier.data.split import development_split, split_both_tests, split_last_share
from moovier.errors import BundleError
from moovier.spark import factors, history_parts
from moovier.spark.shared_folder import SharedFolder
from tests.unit.models.random_arrays import random_ratings
from tests.unit.spark.random_parts import INDEX, random_parts

COVERED = np.array([1, 2, 3, 5, 8, 13, 20, 24])


@pytest.fixture(autouse=True)
def _several_parts_and_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_parts, "PART_RATINGS", 100)
    monkeypatch.setattr(factors, "_GROUP_USERS", 7)


def rows_of(histories: Histories) -> set[tuple[int, int, float]]:
    """Return user row, place in COVERED, and strength of each rating of a covered movie."""
    places = {movie: place for place, movie in enumerate(COVERED.tolist())}
    rows = set()
    for user in range(histories.n_users):
        own = histories[user]
        for movie, stars in zip(own.movies.tolist(), own.stars.tolist(), strict=True):
            if movie in places:
                rows.add((user, places[movie], round((stars / 5.0) ** 2, 5)))
    return rows


def test_tasks_read_the_first_ratings_of_each_user(tmp_path: Path) -> None:
    parts, histories = random_parts(tmp_path)
    part = development_split(histories.ratings()).train.histories
    assert 0 < part.movies.size < histories.movies.size
    scratch = SharedFolder(str(tmp_path / "scratch"))
    factors._write_counts(scratch, INDEX, factors.first_counts(histories, part))
    work = factors._Work(parts, INDEX.movies, COVERED, 2.0, scratch)
    numbers = pa.RecordBatch.from_pydict({"id": list(range(len(parts.numbers)))})
    table = pa.Table.from_batches(factors._ratings(work, [numbers]))
    assert table.schema == factors._SCHEMA
    columns = (table[name].to_pylist() for name in ("user", "movie", "strength"))
    found = [(user, place, round(value, 5)) for user, place, value in zip(*columns, strict=True)]
    assert len(found) == len(set(found))
    assert set(found) == rows_of(part)


def test_each_training_part_holds_first_ratings() -> None:
    ratings = random_ratings(7, n_users=50)
    for part in (
        ratings,
        development_split(ratings).train,
        split_both_tests(ratings, 0).before,
        split_last_share(ratings)[0],
    ):
        counts = factors.first_counts(ratings.histories, part.histories)
        np.testing.assert_array_equal(counts, part.histories.counts())


def test_other_ratings_than_the_first_are_an_error() -> None:
    ratings = random_ratings(7)
    later = split_last_share(ratings)[1]
    with pytest.raises(ValueError, match="first ratings of each user"):
        factors.first_counts(ratings.histories, later.histories)


def test_counts_of_other_users_are_an_error(tmp_path: Path) -> None:
    folder = SharedFolder(str(tmp_path))
    factors._write_counts(folder, INDEX, np.ones(INDEX.users.size, dtype=np.int64))
    with pytest.raises(BundleError, match="other users"):
        factors._read_counts(folder, np.array([1, 5]))
