"""The best of many scores, the same list each time."""

from __future__ import annotations

import numpy as np

from moovier.data.arrays import Floats, Ints


def top_rows(scores: Floats, top_k: int) -> Ints:
    """Rows of the ``top_k`` largest finite scores, best first, equal ones by row; (<= top_k,)."""
    k = min(top_k, scores.size)
    # The k-th score alone, and then who has it: finding rows by argpartition takes several times
    # as long, and of the rows that tie for the last place keeps any.
    threshold = float(-np.partition(-scores, k - 1)[k - 1])
    above = np.flatnonzero(scores > threshold)
    ties = np.flatnonzero(scores == threshold)[: k - above.size]
    found: Ints = np.concatenate([above, ties])
    best = found[np.lexsort((found, -scores[found]))]
    return best[np.isfinite(scores[best])].astype(np.int64)
