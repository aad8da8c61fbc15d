from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from moovier.data.movielens import read_movielens
from moovier.data.summary import Summary
from tests.unit.data.conftest import MOVIES, RATINGS


def test_summary_counts_the_data_set(folder: Path) -> None:
    summary = Summary.of(read_movielens(folder))
    assert (summary.ratings, summary.users) == (5, 2)
    assert (summary.movies, summary.rated_movies) == (4, 4)
    assert summary.sparsity == pytest.approx(1 - 5 / 8)
    assert summary.mean_stars == pytest.approx(3.4)
    assert summary.first == datetime(2000, 7, 30, 18, 20, 47, tzinfo=UTC)
    assert summary.last == datetime(2000, 7, 30, 19, 3, 35, tzinfo=UTC)
    assert summary.set_aside == 0


def test_histogram_has_every_step_of_the_scale(folder: Path) -> None:
    histogram = Summary.of(read_movielens(folder)).histogram
    assert list(histogram) == [step / 2 for step in range(1, 11)]
    assert {stars: count for stars, count in histogram.items() if count} == {
        0.5: 1,
        3.0: 1,
        4.0: 1,
        4.5: 1,
        5.0: 1,
    }


def test_movies_without_ratings_and_bad_rows_are_counted(folder: Path) -> None:
    (folder / "movies.csv").write_bytes(MOVIES + b"60,Nobody Saw This (2010),Drama\n")
    (folder / "ratings.csv").write_bytes(RATINGS + b"2,3,9.0,964982931\n")
    summary = Summary.of(read_movielens(folder, bad_rows_share=0.5))
    assert (summary.movies, summary.rated_movies) == (5, 4)
    assert (summary.ratings, summary.set_aside) == (5, 1)
