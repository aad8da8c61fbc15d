"""Distances between two distributions, as pure functions on arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
#: Share of an empty bin in the population stability index, which is undefined for a share of 0.
_EMPTY_SHARE = 1e-4


def shares(counts: Values) -> Values:
    """Return ``counts`` divided by their sum along the last axis; all 0 where the sum is 0."""
    total = counts.sum(axis=-1, keepdims=True)
    normalised: Values = np.divide(counts, total, out=np.zeros_like(counts, float), where=total > 0)
    return normalised


def js_distance(first: Values, second: Values) -> Values:
    """Return the Jensen-Shannon distance along the last axis, 0 (equal) to 1 (disjoint).

    The distance is the square root of the divergence with logarithms to base 2. The arguments
    broadcast. Two empty distributions are equal; the distance of an empty distribution from any
    other is sqrt(1/2). Source: Endres & Schindelin 2003, doi:10.1109/TIT.2003.813506.
    """
    from scipy.spatial.distance import jensenshannon

    with np.errstate(invalid="ignore"):
        distance = jensenshannon(first, second, base=2, axis=-1)
    # SciPy returns NaN for an empty distribution, and for equal ones where rounding makes the
    # divergence negative.
    one_is_empty = first.any(axis=-1) != second.any(axis=-1)
    defined: Values = np.where(one_is_empty, np.sqrt(0.5), np.nan_to_num(distance))
    return defined


def psi(expected: Values, actual: Values) -> float:
    """Return the population stability index of two distributions, (n,) shares each, at least 0.

    Sum of (actual - expected) ln(actual / expected), which is symmetric. By convention a value
    below 0.1 means no shift and a value above 0.25 a large shift. An empty bin counts as a share
    of 0.0001. Source: Yurdakul & Naranjo 2020, doi:10.21314/JRMV.2020.227, who also show the
    values that arise by chance.
    """
    e, a = np.maximum(expected, _EMPTY_SHARE), np.maximum(actual, _EMPTY_SHARE)
    return float(((a - e) * np.log(a / e)).sum())


def kolmogorov_smirnov(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Return the largest distance between two empirical distribution functions, 0 to 1.

    The samples may differ in size; NaN if one is empty. The p-value is left out: it assumes
    independent values, and the ratings of one user are not independent. Source:
    scipy.stats.ks_2samp.
    """
    if not first.size or not second.size:
        return float("nan")
    from scipy.stats import ks_2samp

    return float(ks_2samp(first, second, method="asymp").statistic)


def wasserstein(first: Values, second: Values, *, step: float) -> float:
    """Return the Wasserstein-1 distance of two distributions over equally spaced values.

    ``first`` and ``second`` are (n,) shares; ``step`` is the difference of neighbouring values,
    and the distance has its unit. Source: Vallender 1974, doi:10.1137/1118101.
    """
    return float(step * np.abs(np.cumsum(first - second)[:-1]).sum())
