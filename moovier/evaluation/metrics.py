"""Metrics as pure functions on arrays.

``top`` is always (n, k): the recommended movie rows of n users, best first. A list shorter than k
is padded with -1, which is never a hit. ``relevant`` has the relevant movie rows of each user. A
user without relevant movies gets NaN, and means leave NaN out (``numpy.nanmean``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import Ints

Values = NDArray[np.float64]
#: Most resampled values that :func:`bootstrap` holds in memory.
_BOOTSTRAP_CELLS = 2_000_000


def hits(top: Ints, relevant: Sequence[Ints]) -> NDArray[np.bool_]:
    """Return which of the recommended movies are relevant, in the shape of ``top``.

    Raises:
        ValueError: ``top`` and ``relevant`` have different numbers of users.
    """
    if len(top) != len(relevant):
        raise ValueError(f"{len(top)} lists for {len(relevant)} users; give one list for each user")
    sizes = _sizes(relevant)
    if not sizes.sum():
        return np.zeros(top.shape, dtype=bool)
    movies = np.concatenate(relevant).astype(np.int64)
    # One number per user and movie, so that one call looks up all users.
    width = int(max(movies.max(), top.max(initial=0))) + 1
    # Sorted, because np.isin hashes the pairs, which takes ten times as long.
    relevant_pairs = np.sort(np.repeat(np.arange(len(relevant)), sizes) * width + movies)
    top_pairs = np.arange(len(top))[:, None] * width + top
    places = np.searchsorted(relevant_pairs, top_pairs)
    places = np.minimum(places, relevant_pairs.size - 1)
    found: NDArray[np.bool_] = (relevant_pairs[places] == top_pairs) & (top >= 0)
    return found


def ndcg_at_k(top: Ints, relevant: Sequence[Ints], k: int) -> Values:
    """Return the normalised discounted cumulative gain with binary gains, (n,) in 0..1.

    DCG = sum over ranks i = 1..k of hit_i / log2(i + 1), divided by the best DCG that
    min(k, relevant) hits can have. Source: Jarvelin & Kekalainen 2002, doi:10.1145/582415.582418.
    """
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    best = np.concatenate([[np.nan], np.cumsum(discounts)])
    sizes = np.minimum(_sizes(relevant), k)
    hit = hits(top[:, :k], relevant)
    ndcg: Values = hit @ discounts[: hit.shape[1]] / best[sizes]
    return ndcg


def debiased_ndcg_at_k(top: Ints, relevant: Sequence[Ints], counts: Ints, k: int) -> Values:
    """Return the NDCG with lower gains for popular movies, (n,) in 0..1.

    The gain of movie j is ``1 / sqrt(counts[j])``, in the ideal list too. ``counts``: (n_movies,)
    ratings of each movie in the training part, taken as at least 1.
    """
    gains = 1.0 / np.sqrt(np.maximum(counts, 1))
    discounts = 1.0 / np.log2(np.arange(2, k + 2))
    shown = top[:, :k]
    shown_gains = hits(shown, relevant) * gains[np.maximum(shown, 0)]
    ideal = np.full(len(relevant), np.nan)
    for row, movies in enumerate(relevant):
        if movies.size:
            best = np.sort(gains[movies])[::-1][:k]
            ideal[row] = best @ discounts[: best.size]
    ndcg: Values = shown_gains @ discounts[: shown.shape[1]] / ideal
    return ndcg


def recall_at_k(top: Ints, relevant: Sequence[Ints], k: int) -> Values:
    """Return the hits among the first k over min(k, relevant), (n,) in 0..1.

    The cap makes 1 reachable for a user with more than k relevant movies (Liang et al. 2018,
    https://arxiv.org/abs/1802.05814, section 4.2).
    """
    sizes: Values = np.minimum(_sizes(relevant), k).astype(np.float64)
    sizes[sizes == 0] = np.nan
    recall: Values = hits(top[:, :k], relevant).sum(axis=1) / sizes
    return recall


def hit_at_k(top: Ints, relevant: Sequence[Ints], k: int) -> Values:
    """Return 1 if any of the first k movies is relevant, else 0, (n,)."""
    any_hit = hits(top[:, :k], relevant).any(axis=1)
    hit: Values = np.where(_sizes(relevant) == 0, np.nan, any_hit)
    return hit


def coverage_at_k(top: Ints, k: int, n_movies: int) -> float:
    """Return the share of the catalogue in the first k of any list, 0..1."""
    shown = top[:, :k]
    return float(np.unique(shown[shown >= 0]).size / n_movies)


def popularity_bias(top: Ints, k: int, counts: Ints) -> float:
    """Return the mean popularity percentile of the recommended movies, 0..1.

    1 is the most rated movie. ``counts``: (n_movies,) ratings in the training part. Equal counts
    share the mean of their ranks, so that the result does not depend on ids.
    """
    _, inverse, sizes = np.unique(counts, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    percentile = ((last - sizes + 1 + last) / 2 / counts.size)[inverse]
    shown = top[:, :k]
    return float(percentile[shown[shown >= 0]].mean())


def rmse(predicted: NDArray[np.floating], stars: NDArray[np.floating]) -> float:
    """Return the root mean squared error, in stars."""
    error = predicted.astype(np.float64) - stars
    return float(np.sqrt(np.mean(error * error)))


def mae(predicted: NDArray[np.floating], stars: NDArray[np.floating]) -> float:
    """Return the mean absolute error, in stars."""
    return float(np.mean(np.abs(predicted.astype(np.float64) - stars)))


def bootstrap(
    values: Values, seed: int, *, draws: int = 2000, level: float = 0.95
) -> tuple[float, float]:
    """Return the percentile bootstrap interval ``(low, high)`` of the mean over users.

    ``values``: (n,) per user, or (n, m) with one column per setting, in which case the statistic
    is the mean over columns of the mean over users. NaN values are left out. Users (rows) are
    resampled. For a paired comparison, pass the difference per user. Without values, the result is
    (nan, nan). Source: Efron & Tibshirani 1993, chapter 13.
    """
    table = values.reshape(values.shape[0], -1)
    present = ~np.isnan(table)
    known = present.any(axis=1)
    if not known.any():
        return (float("nan"), float("nan"))
    present = present[known].astype(np.float64)
    filled = np.nan_to_num(table[known], nan=0.0)
    n = filled.shape[0]
    generator = np.random.default_rng(seed)
    # In parts, which bounds the memory with many users.
    part = max(1, min(draws, _BOOTSTRAP_CELLS // n))
    means = []
    for start in range(0, draws, part):
        rows = min(part, draws - start)
        chosen = generator.integers(0, n, (rows, n)) + n * np.arange(rows)[:, None]
        times = np.bincount(chosen.ravel(), minlength=rows * n).reshape(rows, n)
        weights = times.astype(np.float64)
        with np.errstate(invalid="ignore"):
            columns = (weights @ filled) / (weights @ present)
        means.append(_row_means(columns))
    low, high = np.nanquantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean(values: Values) -> float:
    """Return the mean over columns of the mean over users, without NaN; NaN without values.

    ``values``: (n,) or (n, m).
    """
    table = values.reshape(values.shape[0], -1)
    present = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        columns = np.nansum(table, axis=0) / present.sum(axis=0)
    return float(_row_means(columns[None, :])[0])


def _row_means(table: Values) -> Values:
    """Return the mean of each row without its NaN values; NaN of a row without values."""
    present = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        means: Values = np.nansum(table, axis=1) / present.sum(axis=1)
    return means


def _sizes(relevant: Sequence[Ints]) -> NDArray[np.int64]:
    return np.array([movies.size for movies in relevant], dtype=np.int64)
