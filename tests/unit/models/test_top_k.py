"""The best k rows against a stable sort."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from moovier.models.top_k import top_rows


@given(
    scores=st.lists(st.sampled_from([-np.inf, -1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=40),
    top_k=st.integers(1, 50),
)
def test_top_rows_equal_a_stable_sort(scores: list[float], top_k: int) -> None:
    expected = sorted(
        (row for row, score in enumerate(scores) if np.isfinite(score)),
        key=lambda row: (-scores[row], row),
    )[:top_k]
    assert top_rows(np.array(scores, dtype=np.float32), top_k).tolist() == expected
