from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.monitoring.list_metrics import describe, overlap

LISTS = st.lists(st.lists(st.integers(1, 9), min_size=3, max_size=3, unique=True), min_size=1)
MOVIES = np.array([10, 20, 30, 40, 50])


def test_coverage_and_popular_share() -> None:
    # 20 alone has half of the ratings.
    metrics = describe([[20, 30], [20, 50], [20, 30]], MOVIES, np.array([1, 6, 3, 2, 0]))
    assert metrics.coverage == 3 / 5
    assert metrics.popular == 3 / 6
    assert math.isnan(describe([], MOVIES, np.ones(5, dtype=np.int64)).coverage)


@given(LISTS)
def test_overlap_of_equal_lists_in_any_order_is_1(lists: list[list[int]]) -> None:
    assert overlap(lists, [movie_ids[::-1] for movie_ids in lists]) == 1


@given(LISTS, st.randoms())
def test_overlap_is_symmetric(lists: list[list[int]], random: object) -> None:
    others = [[(movie + 2) % 10 for movie in movie_ids] for movie_ids in lists]
    assert overlap(lists, others) == overlap(others, lists)
    assert 0 <= overlap(lists, others) <= 1


def test_overlap_by_hand() -> None:
    assert overlap([[1, 2], [3, 4]], [[2, 9], [7, 8]]) == 0.25
    with pytest.raises(ValueError, match="cannot pair 1 lists with 0"):
        overlap([[1]], [])
