"""The sequential test does what it promises: seeded simulations, looked at after every person."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.experiments import sequential_test
from moovier.experiments.sequential_test import BETS, compare, imbalance, paths, weighted

ALPHA = 0.05
RUNS, PEOPLE = 400, 1_500
Drawn = tuple[NDArray[np.float64], NDArray[np.bool_]]


def drawn(share: float, champion: float, challenger: float, *, seed: int = 0) -> Drawn:
    """(RUNS, PEOPLE) outcomes and arms."""
    random = np.random.default_rng(seed)
    arms = random.random((RUNS, PEOPLE)) < share
    outcomes = random.random((RUNS, PEOPLE)) < np.where(arms, challenger, champion)
    return outcomes.astype(np.float64), arms


def ever_decided(outcomes: NDArray[np.float64], arms: NDArray[np.bool_], share: float) -> float:
    """Share of the runs in which somebody who looks after each person decides at some time."""
    better, worse = paths(outcomes, arms, share)
    return float(((better >= 2 / ALPHA) | (worse >= 2 / ALPHA)).any(axis=1).mean())


@pytest.mark.parametrize(
    ("share", "rate"), [(0.5, 0.1), (0.5, 0.5), (0.1, 0.1), (0.1, 0.5), (0.3, 0.02)]
)
def test_two_alike_are_rarely_told_apart_however_often_one_looks(share: float, rate: float) -> None:
    assert ever_decided(*drawn(share, rate, rate), share) <= ALPHA


def test_looking_often_at_a_usual_test_would_fail_this() -> None:
    outcomes, arms = drawn(0.5, 0.3, 0.3)
    counts = np.cumsum(arms, axis=1), np.cumsum(~arms, axis=1)
    sums = np.cumsum(outcomes * arms, axis=1), np.cumsum(outcomes * ~arms, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (sums[0] + sums[1]) / (counts[0] + counts[1])
        spread = np.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
        z = (sums[0] / counts[0] - sums[1] / counts[1]) / spread
    decided = (np.abs(z[:, 50:]) > 1.96).any(axis=1).mean()
    assert decided > 4 * ALPHA


def test_people_who_are_alike_in_waves_do_not_fool_it() -> None:
    random = np.random.default_rng(3)
    arms = random.random((RUNS, PEOPLE)) < 0.3
    # Long good and bad times, and neighbours who all do the same.
    rate = 0.35 + 0.3 * np.sin(np.arange(PEOPLE) / 90)
    moods = np.repeat(random.random((RUNS, PEOPLE // 10)), 10, axis=1)
    outcomes = (moods < rate).astype(np.float64)
    assert ever_decided(outcomes, arms, 0.3) <= ALPHA


def test_a_real_difference_is_found_and_on_the_right_side() -> None:
    for champion, challenger, right in ((0.1, 0.2, 0), (0.2, 0.1, 1)):
        reached = [
            (path >= 2 / ALPHA).any(axis=1).mean()
            for path in paths(*drawn(0.5, champion, challenger), 0.5)
        ]
        assert reached[right] >= 0.95
        assert reached[1 - right] <= ALPHA / 2


def test_a_canary_of_a_tenth_finds_a_large_difference() -> None:
    better, _ = paths(*drawn(0.1, 0.1, 0.3), 0.1)
    assert (better >= 2 / ALPHA).any(axis=1).mean() >= 0.9


def test_the_evidence_is_the_product_that_the_formula_says() -> None:
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
    for sign, path in zip((1, -1), paths(outcomes, arms, share), strict=True):
        money = [math.prod(1 + bet / 5 * sign * z for z in differences) for bet in BETS]
        assert path[-1] == pytest.approx(sum(money) / len(money))


def test_the_mean_of_the_weighted_outcomes_is_the_difference() -> None:
    found = weighted(*drawn(0.2, 0.3, 0.45), 0.2)
    assert found.mean() == pytest.approx(0.15, abs=0.01)


def test_the_interval_holds_the_truth_and_agrees_with_the_evidence() -> None:
    outcomes, arms = drawn(0.5, 0.2, 0.3)
    missed, decisions = 0, 0
    for run in range(40):
        stands = compare(outcomes[run], arms[run], 0.5, alpha=ALPHA)
        missed += not stands.low <= 0.1 <= stands.high
        assert (stands.verdict == "better") == (stands.low > 0)
        assert (stands.verdict == "worse") == (stands.high < 0)
        assert -1 <= stands.low < stands.high <= 1
        decisions += stands.verdict == "better"
    assert missed <= 2
    assert decisions >= 20


def test_of_nobody_nothing_is_known() -> None:
    nobody = compare(np.zeros(0), np.zeros(0, dtype=bool), 0.1, alpha=ALPHA)
    assert (nobody.better, nobody.worse, nobody.low, nobody.high) == (1, 1, -1, 1)
    assert nobody.verdict == "open"


def test_a_draw_that_is_not_as_it_was_said_is_noticed() -> None:
    random = np.random.default_rng(5)
    honest = [imbalance(random.random(4_000) < 0.1, 0.1) for _ in range(100)]
    assert max(honest) < sequential_test.UNFAIR
    lost = random.random(4_000) < 0.06
    assert imbalance(lost, 0.1) >= sequential_test.UNFAIR
    # However good the challenger looks then.
    stands = compare(lost.astype(np.float64), lost, 0.1, alpha=ALPHA)
    assert stands.better >= stands.needed
    assert stands.verdict == "unfair"


def test_evidence_beyond_all_numbers_stays_a_number() -> None:
    arms = np.arange(20_000) % 2 == 0
    stands = compare(arms.astype(np.float64), arms, 0.5, alpha=ALPHA)
    assert math.isfinite(stands.better)
    assert stands.low > 0.9


def test_what_makes_no_sense_is_refused() -> None:
    nobody = np.zeros(0, dtype=bool)
    with pytest.raises(ValueError, match="3,"):
        compare(np.zeros(3), nobody, 0.1, alpha=ALPHA)
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="no two arms"):
            compare(np.zeros(0), nobody, share, alpha=ALPHA)
    with pytest.raises(ValueError, match=r"0\.\.1"):
        compare(np.array([2.0]), np.array([True]), 0.1, alpha=ALPHA)
