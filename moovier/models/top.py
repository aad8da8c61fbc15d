"""The best of many scores, the same list each time."""

from __future__ import annotations

import numpy as np

from moovier.data.arrays import Floats, Ints


def top_rows(scores: Floats, top_k: int) -> Ints:
    """Rows of the ``top_k`` largest finite scores, best first, equal ones by row; (<= top_k,)."""
    k = min(top_k, scores.size)
    # The k-th score alone, and then who has it: finding rows by argpartition takes several times
    # as long, and of the rows that tie for the last place keeps any.
    threshold = -np.partition(-scores, k - 1)[k - 1]
    above = np.flatnonzero(scores > threshold)
    ties = np.flatnonzero(scores == threshold)[: k - above.size]
    best = np.concatenate([above, ties])
    best = best[np.lexsort((best, -scores[best]))]
    return best[np.isfinite(scores[best])].astype(np.int64)
