from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

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
def test_nothing_lies_between_a_distribution_and_itself(one: Values) -> None:
    assert js_distance(one, one) == pytest.approx(0, abs=1e-7)
    assert psi(one, one) == 0
    assert wasserstein(one, one, step=0.5) == 0
    assert kolmogorov_smirnov(one, one) == 0


@given(distributions(), distributions())
def test_distances_are_symmetric_and_bounded(one: Values, other: Values) -> None:
    assert js_distance(one, other) == pytest.approx(js_distance(other, one))
    assert psi(one, other) == pytest.approx(psi(other, one))
    assert wasserstein(one, other, step=1) == pytest.approx(wasserstein(other, one, step=1))
    assert 0 <= js_distance(one, other) <= 1
    assert 0 <= wasserstein(one, other, step=1) <= BINS - 1
    assert psi(one, other) >= 0


@given(distributions(), distributions())
def test_they_are_those_of_scipy(one: Values, other: Values) -> None:
    expected = np.nan_to_num(distance.jensenshannon(one, other, base=2))
    assert js_distance(one, other) == pytest.approx(expected, abs=1e-6)
    stars = np.arange(BINS) / 2
    expected = stats.wasserstein_distance(stars, stars, one, other)
    assert wasserstein(one, other, step=0.5) == pytest.approx(expected, abs=1e-9)


@given(distributions(), distributions(), distributions())
def test_js_distance_is_a_metric(one: Values, other: Values, third: Values) -> None:
    detour = js_distance(one, third) + js_distance(third, other)
    assert js_distance(one, other) <= detour + 1e-9


def test_what_shares_nothing_is_as_far_apart_as_can_be() -> None:
    one, other = np.array([1.0, 0, 0]), np.array([0, 0, 1.0])
    assert js_distance(one, other) == pytest.approx(1)
    assert wasserstein(one, other, step=0.5) == pytest.approx(1.0)


def test_many_pairs_at_once_are_as_one_by_one() -> None:
    rows = shares(np.random.default_rng(0).random((4, BINS)))
    one_by_one = [js_distance(row, rows[0]) for row in rows]
    np.testing.assert_allclose(js_distance(rows, rows[0]), one_by_one)


def test_the_stability_index_by_hand() -> None:
    expected = 0.2 * math.log(0.7 / 0.5) - 0.2 * math.log(0.3 / 0.5)
    assert psi(np.array([0.5, 0.5]), np.array([0.7, 0.3])) == pytest.approx(expected)
    assert math.isfinite(psi(np.array([1.0, 0.0]), np.array([0.5, 0.5])))


def test_an_empty_sample_has_no_distance() -> None:
    assert math.isnan(kolmogorov_smirnov(np.array([]), np.array([1.0])))
    assert shares(np.zeros(3)).tolist() == [0, 0, 0]
