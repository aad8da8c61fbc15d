"""Windows of the reference have the shape of the new ratings."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.monitoring.dataset_diff import Snapshot
from moovier.monitoring.null_distribution import WindowShape, draw_windows
from moovier.monitoring.profiles import Reference, Rows


@pytest.fixture
def reference(snapshot: Snapshot) -> Reference:
    return Reference(snapshot.ratings, np.ones((len(snapshot.catalogue), 1)))


SHAPE = WindowShape(
    counts=np.array([3, 12, 5, 12]),
    totals=np.array([3, 12, 30, 12]),
    new=np.array([True, True, False, False]),
)


def windows(reference: Reference, n: int, seed: int = 0) -> list[Rows]:
    return list(draw_windows(reference, SHAPE, n, np.random.default_rng(seed)))


def test_each_user_of_a_window_has_as_many_ratings_as_the_new_user(reference: Reference) -> None:
    for rows in windows(reference, 8):
        assert np.bincount(rows.people).tolist() == SHAPE.counts.tolist()
        assert np.isin(rows.stars * 2, np.arange(1, 11)).all()


def test_ratings_of_a_window_are_one_piece_of_a_history(reference: Reference) -> None:
    histories = [
        reference.histories[user].movies.tolist() for user in range(reference.histories.n_users)
    ]
    for rows in windows(reference, 8):
        for person, count in enumerate(SHAPE.counts.tolist()):
            piece = rows.movies[rows.people == person].tolist()
            assert any(
                history[start : start + count] == piece
                for history in histories
                for start in range(len(history) - count + 1)
            )


def test_same_seed_draws_the_same_windows(reference: Reference) -> None:
    first, again, other = (windows(reference, 4, seed) for seed in (1, 1, 2))
    assert [rows.movies.tolist() for rows in first] == [rows.movies.tolist() for rows in again]
    assert [rows.movies.tolist() for rows in first] != [rows.movies.tolist() for rows in other]
