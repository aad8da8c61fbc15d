"""Distances between two distributions, as pure functions on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: Share that an empty bin counts as in the population stability index, which has no value there.
_EMPTY = 1e-4


def shares(counts: Values) -> Values:
    """``counts`` over their sum along the last axis; all zero where there is nothing to share."""
    total = counts.sum(axis=-1, keepdims=True)
    found: Values = np.divide(counts, total, out=np.zeros_like(counts, float), where=total > 0)
    return found


def js_distance(one: Values, other: Values) -> Values:
    """Jensen-Shannon distance of two distributions along the last axis, 0 (equal) to 1 (apart).

    The square root of the divergence with logarithms to base 2; a metric, symmetric, and defined
    where a bin is empty. Source: Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506. SciPy's
    takes one pair at a time; this one broadcasts. Two empty ones are equal; an empty one is apart
    from any other by sqrt(1/2).
    """
    middle = (one + other) / 2
    divergence = (_relative(one, middle) + _relative(other, middle)) / 2
    distance: Values = np.sqrt(np.clip(divergence, 0.0, 1.0))
    return distance


def _relative(one: Values, other: Values) -> Values:
    """Kullback-Leibler divergence in bits, over the bins where ``one`` has something."""
    there = one > 0
    ratio = np.divide(one, other, out=np.ones(np.broadcast(one, other).shape), where=there)
    bits: Values = (one * np.log2(ratio)).sum(axis=-1)
    return bits


def psi(expected: Values, actual: Values) -> float:
    """Population stability index of two distributions, (n,) shares each: 0 and up.

    Sum of (actual - expected) ln(actual / expected): symmetric. By custom below 0.1 nothing has
    moved and above 0.25 much has. Source: Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227,
    who also show how much of it chance alone makes. An empty bin counts as a share of 0.0001.
    """
    e, a = np.maximum(expected, _EMPTY), np.maximum(actual, _EMPTY)
    return float(((a - e) * np.log(a / e)).sum())


def kolmogorov_smirnov(one: NDArray[Any], other: NDArray[Any]) -> float:
    """Largest distance between two empirical distribution functions, 0..1; samples of any size.

    NaN where a sample is empty. Source: scipy.stats.ks_2samp; its p-value is left out, since it
    holds for independent values and one person's ratings are not.
    """
    if not one.size or not other.size:
        return float("nan")
    from scipy.stats import ks_2samp

    return float(ks_2samp(one, other, method="asymp").statistic)


def wasserstein(one: Values, other: Values, *, step: float) -> float:
    """Wasserstein-1 (earth mover's) distance of two distributions over equally spaced values.

    ``one``, ``other``: (n,) shares; ``step``: between two values, in whose unit the distance is:
    how far the mean unit of mass has to move. Source: Vallender 1974, doi:10.1137/1118101.
    """
    return float(step * np.abs(np.cumsum(one - other)[:-1]).sum())
