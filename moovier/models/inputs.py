"""How a history becomes the input of an autoencoder: each rated movie with a weight.

Shared by training and by scoring, NumPy alone.
"""

from __future__ import annotations

import numpy as np

from moovier.data.arrays import Floats, Histories, History


def weights(history: History, *, star_power: float, half_life: float) -> Floats:
    """The weight of each movie of a history, (k,), at most 1.

    A rating counts ``(stars / 5) ** star_power``, and half as much for each ``half_life`` ratings
    that the same person gave after it: tastes drift, and what was rated last says most about
    what comes next. ``star_power`` is 0 or more; ``half_life`` is in ratings, more than 0.
    """
    newer = np.arange(len(history) - 1, -1, -1, dtype=np.float32)
    return _counted(history.stars, newer, star_power, half_life)


def all_weights(histories: Histories, *, star_power: float, half_life: float) -> Floats:
    """:func:`weights` of everybody, parallel to ``histories.movies``, (n_ratings,)."""
    counts = histories.counts()
    ends = np.repeat(histories.offsets[1:], counts)
    newer = (ends - 1 - np.arange(histories.movies.size)).astype(np.float32)
    return _counted(histories.stars, newer, star_power, half_life)


def _counted(stars: Floats, newer: Floats, star_power: float, half_life: float) -> Floats:
    counted = (stars / 5.0) ** star_power * np.exp2(-newer / half_life)
    return np.asarray(counted, dtype=np.float32)
