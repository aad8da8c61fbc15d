"""Weights of ratings against their definition by stars and later ratings."""

from __future__ import annotations

import numpy as np
import pytest

from moovier.data.ratings import History, Ratings
from moovier.data.split import PAUSE_S
from moovier.models import rating_weights

#: Two visits of user 0, none of user 1, one of user 2.
RATINGS = Ratings(
    users=np.array([2, 0, 0, 0, 2]),
    movies=np.array([3, 1, 0, 2, 1]),
    stars=np.array([5.0, 4.0, 2.0, 5.0, 0.5], np.float32),
    timestamps=np.array([7, 0, 60, 3 * PAUSE_S, 7]),
    n_users=3,
    n_movies=4,
)


@pytest.mark.parametrize("star_power", [0.0, 1.0, 2.5])
def test_a_weight_falls_with_stars_and_later_ratings(star_power: float) -> None:
    weights = rating_weights.weights(RATINGS.histories[0], star_power=star_power, half_life=2.0)
    stars = np.array([0.8, 0.4, 1.0]) ** star_power
    np.testing.assert_allclose(weights, stars * [0.5**0.5, 0.5**0.5, 1.0], rtol=1e-6)
    assert weights.dtype == np.float32


def test_weights_of_all_users_equal_those_of_each() -> None:
    options = {"star_power": 1.5, "half_life": 3.0}
    histories = RATINGS.histories
    expected = [rating_weights.weights(histories[user], **options) for user in range(3)]
    weights = rating_weights.all_weights(histories, **options)
    np.testing.assert_allclose(weights, np.concatenate(expected), rtol=1e-6)
    assert weights.shape == (5,)


def test_years_between_ratings_do_not_change_a_weight() -> None:
    years = np.array([0, 40 * 365 * PAUSE_S])
    history = History(np.array([0, 1]), np.array([5.0, 5.0], np.float32), years)
    weights = rating_weights.weights(history, star_power=1.0, half_life=1.0)
    np.testing.assert_allclose(weights, [0.5, 1.0], rtol=1e-4)
