from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from moovier.monitoring.distances import (
    Values,
    js_distance,
    kolmogorov_smirnov,
    psi,
    shares,
    wasserstein,
)

BINS = 6


@st.composite
def distributions(draw: st.DrawFn) -> Values:
    counts = draw(st.lists(st.integers(0, 50), min_size=BINS, max_size=BINS).filter(any))
    return shares(np.array(counts, dtype=float))


@given(distributions())
def test_distance_of_a_distribution_from_itself_is_0(first: Values) -> None:
    assert js_distance(first, first) == pytest.approx(0, abs=1e-7)
    assert psi(first, first) == 0
    assert wasserstein(first, first, step=0.5) == 0
    assert kolmogorov_smirnov(first, first) == 0


@given(distributions(), distributions())
def test_distances_are_symmetric_and_bounded(first: Values, second: Values) -> None:
    assert js_distance(first, second) == pytest.approx(js_distance(second, first))
    assert psi(first, second) == pytest.approx(psi(second, first))
    assert wasserstein(first, second, step=1) == pytest.approx(wasserstein(second, first, step=1))
    assert 0 <= js_distance(first, second) <= 1
    assert 0 <= wasserstein(first, second, step=1) <= BINS - 1
    assert psi(first, second) >= 0


@given(distributions(), distributions())
def test_distances_equal_their_definitions(first: Values, second: Values) -> None:
    middle = stats.entropy((first + second) / 2, base=2)
    divergence = middle - (stats.entropy(first, base=2) + stats.entropy(second, base=2)) / 2
    assert js_distance(first, second) ** 2 == pytest.approx(divergence, abs=1e-9)
    stars = np.arange(BINS) / 2
    expected = stats.wasserstein_distance(stars, stars, first, second)
    assert wasserstein(first, second, step=0.5) == pytest.approx(expected, abs=1e-9)


@given(distributions(), distributions(), distributions())
def test_js_distance_is_a_metric(first: Values, second: Values, third: Values) -> None:
    detour = js_distance(first, third) + js_distance(third, second)
    assert js_distance(first, second) <= detour + 1e-9


def test_disjoint_distributions_have_the_largest_distance() -> None:
    first, second = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert js_distance(first, second) == pytest.approx(1)
    assert wasserstein(first, second, step=0.5) == pytest.approx(1.0)


def test_js_distance_broadcasts() -> None:
    rows = shares(np.random.default_rng(0).random((4, BINS)))
    one_by_one = [js_distance(row, rows[0]) for row in rows]
    np.testing.assert_allclose(js_distance(rows, rows[0]), one_by_one)


def test_js_distance_of_empty_distributions() -> None:
    empty, some = np.zeros(2), np.array([0.25, 0.75])
    assert js_distance(empty, empty) == 0
    assert js_distance(empty, some) == pytest.approx(math.sqrt(0.5))
    assert js_distance(some, empty) == pytest.approx(math.sqrt(0.5))


def test_population_stability_index_by_hand() -> None:
    expected = 0.2 * math.log(0.7 / 0.5) - 0.2 * math.log(0.3 / 0.5)
    assert psi(np.array([0.5, 0.5]), np.array([0.7, 0.3])) == pytest.approx(expected)
    assert math.isfinite(psi(np.array([1.0, 0.0]), np.array([0.5, 0.5])))


def test_empty_sample_has_no_distance() -> None:
    assert math.isnan(kolmogorov_smirnov(np.array([]), np.array([1.0])))
    assert shares(np.zeros(3)).tolist() == [0, 0, 0]
