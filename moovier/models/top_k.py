"""The best of many scores, the same list each time."""

from __future__ import annotations

import numpy as np

from moovier.data.ratings import Floats, Ints

#: Groups of rows whose maxima bound the k-th best score from below.
_GROUPS = 256


def top_rows(scores: Floats, top_k: int) -> Ints:
    """Return rows of the ``top_k`` largest finite scores, best first, equal ones by row.

    ``scores``: (n,). The result has at most ``top_k`` rows.
    """
    k = min(top_k, scores.size)
    candidates = _candidates(scores, k)
    few = scores if candidates is None else scores[candidates]
    # The k-th score alone, and then who has it: finding rows by argpartition takes several times
    # as long, and of the rows that tie for the last place keeps any.
    threshold = float(-np.partition(-few, k - 1)[k - 1])
    above = np.flatnonzero(few > threshold)
    ties = np.flatnonzero(few == threshold)[: k - above.size]
    found: Ints = np.concatenate([above, ties])
    best = found[np.lexsort((found, -few[found]))]
    best = best[np.isfinite(few[best])]
    return (best if candidates is None else candidates[best]).astype(np.int64)


def _candidates(scores: Floats, k: int) -> Ints | None:
    """Return rows, ascending, that hold the ``k`` best, at least ``k``; None means all.

    The k-th best of the groups' maxima is at most the k-th best score, so every row of the k best
    is at least as good. Most rows are not, which saves looking for the k best among all.
    """
    n = scores.size // _GROUPS
    if k > _GROUPS // 4 or n < 8:
        return None
    grouped = scores[: n * _GROUPS].reshape(n, _GROUPS).max(axis=0)
    bound = np.partition(grouped, _GROUPS - k)[_GROUPS - k]
    return None if bound == -np.inf else np.flatnonzero(scores >= bound)
