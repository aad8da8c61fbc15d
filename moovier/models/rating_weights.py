"""Weights of rated movies as the input of an item-item model. NumPy only."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Histories, History
from moovier.models.recency import Recency

#: A half-life in days so long that age in days has no effect.
_ENDLESS_DAYS = 1e9


def weights(history: History, *, star_power: float, half_life: float) -> Floats:
    """Return the weight of each movie of a history, (k,), at most 1.

    A rating weighs ``(stars / 5) ** star_power``, and half as much for each ``half_life`` ratings
    that the user gave in later visits. ``star_power`` is 0 or more; ``half_life`` is in ratings,
    more than 0. The order within a visit has no effect.
    """
    ages = _recency(half_life).weights(history.timestamps)
    return np.asarray((history.stars / 5.0) ** star_power * ages, dtype=np.float32)


def all_weights(histories: Histories, *, star_power: float, half_life: float) -> Floats:
    """Return :func:`weights` of all users, parallel to ``histories.movies``, (n_ratings,)."""
    ages = _recency(half_life).all_weights(histories)
    return np.asarray((histories.stars / 5.0) ** star_power * ages, dtype=np.float32)


def _recency(half_life: float) -> Recency:
    return Recency(days=_ENDLESS_DAYS, ratings=half_life, floor=0.0)
