"""The best k of many scores, in a repeatable order."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Ints

#: Groups of rows whose maxima bound the k-th best score from below.
_GROUPS = 256


def top_rows(scores: Floats, top_k: int) -> Ints:
    """Return rows of the ``top_k`` largest finite scores, best first, ties by row.

    ``scores``: (n,). The result has at most ``top_k`` rows.
    """
    k = min(top_k, scores.size)
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
