"""Lists for several people."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from moovier.serving.group import STRATEGIES, Strategy, rank_for_group, scale_utilities

#: Two people with opposite favourites (columns 0 and 1), and a compromise (column 2).
OPPOSITE = np.array([[1.0, 0.0, 0.5, 0.8, 0.1], [0.0, 1.0, 0.45, 0.1, 0.8]])


def columns(utilities: np.ndarray, strategy: Strategy, top_k: int = 10) -> list[int]:
    places, _ = rank_for_group(utilities, strategy, top_k)
    return [int(place) for place in places]


def test_least_misery_puts_the_compromise_first() -> None:
    assert columns(OPPOSITE, "least_misery")[0] == 2


def test_mean_follows_the_mean_utility() -> None:
    utilities = np.array([[1.0, 0.4, 0.0], [0.9, 0.5, 0.2]])
    assert columns(utilities, "mean") == [0, 1, 2]


def test_fair_list_satisfies_both_people_where_the_mean_forgets_one() -> None:
    # The first person's movies have slightly higher means throughout.
    utilities = np.array([[1.0, 0.98, 0.96, 0.0, 0.0], [0.0, 0.0, 0.0, 0.9, 0.88]])
    by_mean = utilities[:, columns(utilities, "mean", 3)].sum(axis=1)
    fairly = utilities[:, columns(utilities, "fair", 3)].sum(axis=1)
    assert by_mean.min() == 0.0
    assert fairly.min() > 0.5


def test_scaled_utilities_reach_0_and_1_for_each_person() -> None:
    scaled = scale_utilities(np.array([[-3.0, 1.0, 5.0], [100.0, 300.0, 200.0]]))
    assert scaled.tolist() == [[0.0, 0.5, 1.0], [0.0, 1.0, 0.5]]


def test_equal_scores_have_the_utility_1() -> None:
    assert scale_utilities(np.full((2, 3), 7.0)).tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("strategy", STRATEGIES)
@settings(max_examples=60, deadline=None)
@given(
    utilities=st.tuples(st.integers(2, 5), st.integers(0, 12)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.floats(0, 1, width=16))
    ),
    top_k=st.integers(1, 15),
)
def test_a_list_has_each_candidate_once_with_falling_values(
    strategy: Strategy, utilities: np.ndarray, top_k: int
) -> None:
    places, values = rank_for_group(utilities, strategy, top_k)
    assert places.size == min(top_k, utilities.shape[1])
    assert len(set(places.tolist())) == places.size
    assert (np.diff(values) <= 1e-12).all()
