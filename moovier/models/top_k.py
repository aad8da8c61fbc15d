"""The best k of many scores, in a repeatable order."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Ints
from moovier.models import kernels
from moovier.models.family import as_float32

#: Groups of rows whose maxima bound the k-th best score from below.
_GROUPS = 256
_kernels = kernels.load()


def top_rows(scores: Floats, top_k: int) -> Ints:
    """Return rows of the ``top_k`` largest finite scores, best first, ties by row.

    ``scores``: (n,). The result has at most ``top_k`` rows.
    """
    k = min(top_k, scores.size)
    if _kernels is not None and scores.dtype == np.float32 and scores.flags.c_contiguous:
        rows = np.empty(k, dtype=np.int64)
        return rows[: _kernels.top_rows(scores, rows)]
    return top_rows_by_numpy(scores, k)


def largest_parts(parts: Floats, allowed: Ints, most: int) -> tuple[Ints, Floats]:
    """Return the columns with the largest parts of each row, largest first, and these parts.

    ``parts``: (m, k). ``allowed``: the columns that may be chosen, ascending. Returns two arrays
    (m, min(most, len(allowed))); where parts are equal, the earlier column comes first.
    """
    most = min(most, allowed.size)
    if _kernels is None or not most:
        chosen = parts[:, allowed]
        order = (-chosen).argsort(axis=1, kind="stable")[:, :most]
        return allowed[order], chosen[np.arange(len(parts))[:, None], order]
    columns = np.empty((len(parts), most), dtype=np.int64)
    weights = np.empty((len(parts), most), dtype=np.float32)
    _kernels.largest_parts(as_float32(parts), parts.shape[1], allowed, most, columns, weights)
    return columns, weights


def top_rows_by_numpy(scores: Floats, k: int) -> Ints:
    """Return :func:`top_rows`, computed by NumPy; ``k`` is at most the number of scores."""
    candidates = _candidates(scores, k)
    values = scores if candidates is None else scores[candidates]
    # First the k-th score, then its rows: argpartition takes several times as long, and keeps
    # arbitrary rows of a tie for the last place.
    threshold = float(-np.partition(-values, k - 1)[k - 1])
    above = np.flatnonzero(values > threshold)
    ties = np.flatnonzero(values == threshold)[: k - above.size]
    places: Ints = np.concatenate([above, ties])
    best = places[np.lexsort((places, -values[places]))]
    best = best[np.isfinite(values[best])]
    return (best if candidates is None else candidates[best]).astype(np.int64)


def _candidates(scores: Floats, k: int) -> Ints | None:
    """Return the ascending rows that may be among the ``k`` best; None means all.

    At least ``k`` rows. The k-th best of the groups' maxima is at most the k-th best score, so
    each of the k best rows is at least as good. Most other rows are not, which makes the search
    for the k best cheap.
    """
    n = scores.size // _GROUPS
    if k > _GROUPS // 4 or n < 8:
        return None
    grouped = scores[: n * _GROUPS].reshape(n, _GROUPS).max(axis=0)
    bound = np.partition(grouped, _GROUPS - k)[_GROUPS - k]
    return None if bound == -np.inf else np.flatnonzero(scores >= bound)
