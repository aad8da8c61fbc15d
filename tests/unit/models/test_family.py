"""The parameters that all families share."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import Ratings
from moovier.models.family import FineTuneRequest, as_float32
from tests.contracts import toy


def request_of(n_ratings: int, validation_split: float) -> FineTuneRequest:
    """Return a request with a batch of ``n_ratings`` rows by one user."""
    rows = np.arange(n_ratings)
    stars = np.full(n_ratings, 4.0, np.float32)
    batch = Ratings(np.zeros(n_ratings, int), rows, stars, rows, 1, toy.N_MOVIES)
    return FineTuneRequest(
        catalogue=toy.catalogue(),
        old_n_users=1,
        batch=batch,
        merged=batch,
        validation_split=validation_split,
        patience=1,
        seed=0,
    )


@pytest.mark.parametrize(
    ("n_ratings", "share", "n_validation"),
    [(10, 0.2, 2), (9, 0.25, 2), (10, 0.0, 0), (3, 0.2, 0), (4, 0.99, 3), (1, 0.5, 0)],
)
def test_the_last_rows_of_a_batch_validate(n_ratings: int, share: float, n_validation: int) -> None:
    train, validation = request_of(n_ratings, share).split_batch()
    n_train = n_ratings - n_validation
    assert train.movies.tolist() == list(range(n_train))
    assert validation.movies.tolist() == list(range(n_train, n_ratings))
    assert (validation.n_users, validation.n_movies) == (1, toy.N_MOVIES)


def test_as_float32_copies_only_where_needed() -> None:
    values = np.ones((2, 3), np.float32)
    assert np.shares_memory(as_float32(values), values)
    transposed = as_float32(values.T)
    assert transposed.flags.c_contiguous
    assert as_float32(np.ones(2)).dtype == np.float32
