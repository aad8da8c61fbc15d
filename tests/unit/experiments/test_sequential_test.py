"""Seeded simulations of the sequential test, whose result is read after every user."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.experiments import sequential_test
from moovier.experiments.sequential_test import BETS, compare, evidence, imbalance, weighted

ALPHA = 0.05
RUNS, USERS = 400, 1_500
Drawn = tuple[NDArray[np.float64], NDArray[np.bool_]]


def drawn(share: float, champion: float, challenger: float, *, seed: int = 0) -> Drawn:
    """Return (RUNS, USERS) outcomes and arms."""
    rng = np.random.default_rng(seed)
    arms = rng.random((RUNS, USERS)) < share
    outcomes = rng.random((RUNS, USERS)) < np.where(arms, challenger, champion)
    return outcomes.astype(np.float64), arms


def ever_decided(outcomes: NDArray[np.float64], arms: NDArray[np.bool_], share: float) -> float:
    """Return the share of the runs with a decision after any user."""
    better, worse = evidence(weighted(outcomes, arms, share), share)
    return float(((better >= 2 / ALPHA) | (worse >= 2 / ALPHA)).any(axis=1).mean())


@pytest.mark.parametrize(
    ("share", "rate"), [(0.5, 0.1), (0.5, 0.5), (0.1, 0.1), (0.1, 0.5), (0.3, 0.02)]
)
def test_equal_arms_are_rarely_decided_when_read_after_every_user(
    share: float, rate: float
) -> None:
    assert ever_decided(*drawn(share, rate, rate), share) <= ALPHA


def test_fixed_sample_test_read_after_every_user_decides_too_often() -> None:
    outcomes, arms = drawn(0.5, 0.3, 0.3)
    counts = np.cumsum(arms, axis=1), np.cumsum(~arms, axis=1)
    sums = np.cumsum(outcomes * arms, axis=1), np.cumsum(outcomes * ~arms, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (sums[0] + sums[1]) / (counts[0] + counts[1])
        spread = np.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
        z = (sums[0] / counts[0] - sums[1] / counts[1]) / spread
    decided = (np.abs(z[:, 50:]) > 1.96).any(axis=1).mean()
    assert decided > 4 * ALPHA


def test_outcomes_that_drift_and_cluster_are_rarely_decided() -> None:
    rng = np.random.default_rng(3)
    arms = rng.random((RUNS, USERS)) < 0.3
    # The rate drifts, and ten neighbours each have the same mood.
    rate = 0.35 + 0.3 * np.sin(np.arange(USERS) / 90)
    moods = np.repeat(rng.random((RUNS, USERS // 10)), 10, axis=1)
    outcomes = (moods < rate).astype(np.float64)
    assert ever_decided(outcomes, arms, 0.3) <= ALPHA


def test_real_difference_is_decided_in_the_right_direction() -> None:
    for champion, challenger, right in ((0.1, 0.2, 0), (0.2, 0.1, 1)):
        reached = [
            (path >= 2 / ALPHA).any(axis=1).mean()
            for path in evidence(weighted(*drawn(0.5, champion, challenger), 0.5), 0.5)
        ]
        assert reached[right] >= 0.95
        assert reached[1 - right] <= ALPHA / 2


def test_canary_with_a_tenth_of_the_users_detects_a_large_difference() -> None:
    better, _ = evidence(weighted(*drawn(0.1, 0.1, 0.3), 0.1), 0.1)
    assert (better >= 2 / ALPHA).any(axis=1).mean() >= 0.9


def test_evidence_equals_the_formula() -> None:
    outcomes = np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    arms = np.array([True, False, False, True, True])
    share = 0.25
    before: list[float] = []
    differences: list[float] = []
    for outcome, arm in zip(outcomes, arms, strict=True):
        centre = (sum(before) + 0.5) / (len(before) + 1)
        differences.append((1 / 0.25 if arm else -1 / 0.75) * (outcome - centre))
        before.append(outcome)
    assert weighted(outcomes, arms, share).tolist() == pytest.approx(differences)
    for sign, path in zip((1, -1), evidence(np.array(differences), share), strict=True):
        wealth = [math.prod(1 + bet / 5 * sign * z for z in differences) for bet in BETS]
        assert path[-1] == pytest.approx(sum(wealth) / len(wealth))


def test_mean_of_the_weighted_outcomes_is_the_difference() -> None:
    differences = weighted(*drawn(0.2, 0.3, 0.45), 0.2)
    assert differences.mean() == pytest.approx(0.15, abs=0.01)


def test_interval_covers_the_difference_and_agrees_with_the_verdict() -> None:
    outcomes, arms = drawn(0.5, 0.2, 0.3)
    missed, decisions = 0, 0
    for run in range(40):
        result = compare(outcomes[run], arms[run], 0.5, alpha=ALPHA)
        missed += not result.low <= 0.1 <= result.high
        assert (result.verdict == "better") == (result.low > 0)
        assert (result.verdict == "worse") == (result.high < 0)
        assert -1 <= result.low < result.high <= 1
        decisions += result.verdict == "better"
    assert missed <= 2
    assert decisions >= 20


def test_no_users_give_no_evidence() -> None:
    empty = compare(np.zeros(0), np.zeros(0, dtype=bool), 0.1, alpha=ALPHA)
    assert (empty.better, empty.worse, empty.low, empty.high) == (1, 1, -1, 1)
    assert empty.verdict == "open"


def test_unfair_draw_is_detected() -> None:
    rng = np.random.default_rng(5)
    honest = [imbalance(rng.random(4_000) < 0.1, 0.1) for _ in range(100)]
    assert max(honest) < sequential_test.UNFAIR
    lost = rng.random(4_000) < 0.06
    assert imbalance(lost, 0.1) >= sequential_test.UNFAIR
    # An unfair draw outranks evidence for the challenger.
    result = compare(lost.astype(np.float64), lost, 0.1, alpha=ALPHA)
    assert result.better >= result.needed
    assert result.verdict == "unfair"


def test_very_large_evidence_is_finite() -> None:
    arms = np.arange(20_000) % 2 == 0
    result = compare(arms.astype(np.float64), arms, 0.5, alpha=ALPHA)
    assert math.isfinite(result.better)
    assert result.low > 0.9


def test_invalid_arguments_are_refused() -> None:
    empty = np.zeros(0, dtype=bool)
    with pytest.raises(ValueError, match="3,"):
        compare(np.zeros(3), empty, 0.1, alpha=ALPHA)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="above 0 and below 1"):
            compare(np.zeros(0), empty, share, alpha=ALPHA)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        compare(np.array([2.0]), np.array([True]), 0.1, alpha=ALPHA)
