"""Compare two arms with a test that stays valid however often the result is read.

Users come one after another, t = 1, 2, ..., in the order of their first lists. Each user gets the
challenger with the known chance p, independently of everything before, and has one outcome Y_t in
0..1. With A_t = 1 for the users of the challenger,

    Z_t = (A_t / p - (1 - A_t) / (1 - p)) * (Y_t - m_t)

has the mean d: how much better the challenger's outcome is on average. This holds for any m_t
that is fixed before user t: inverse propensity weights with an augmentation (Cook, Mishler &
Ramdas 2024, "Semiparametric efficient inference in adaptive experiments", arXiv:2311.18274). Here
m_t is the mean outcome so far. The test assumes nothing about the users: outcomes may drift,
cluster in time or depend on each other. Only the draw must be fair, which :func:`imbalance` tests.

A betting process tests d = c (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random
variables by betting", doi:10.1093/jrsssb/qkad009). With B the largest possible |Z_t - c|,

    K_t(c) = mean over f in BETS of the product over s <= t of 1 + (f / B) * (Z_s - c)

is the wealth of a player who starts with 1 and bets that d > c. If d <= c, K_t is a non-negative
supermartingale, and the chance that it ever reaches x is at most 1 / x (Ville 1939). With the
signs of Z and c reversed, the same process bets that d < c. The decision "one of the two reached
2 / alpha" is therefore wrong with a chance of at most alpha, however often the result is read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: Fractions of the largest bet that cannot lose everything. The best fraction depends on d, and a
#: bad one loses half of the wealth, so the wealth is spread over all of them.
BETS: Values = 0.5 ** np.arange(1, 11, dtype=np.float64)
#: Evidence beyond which the draw counts as unfair: wrong in one of a thousand experiments.
UNFAIR = 1000.0


@dataclass(frozen=True)
class SequentialResult:
    """The comparison of two arms.

    Attributes:
        better: Evidence (K_t(0) above) that the challenger is better; 1 without users.
        worse: Evidence that the challenger is worse; 1 without users.
        low: Lower end of the confidence sequence of d, which covers d at all times with a chance
            of at least 1 - alpha.
        high: Upper end of the confidence sequence of d.
        unfair: Evidence that users were not drawn with the stated share.
        alpha: Chance of a wrong decision if the arms are equally good.
    """

    better: float
    worse: float
    low: float
    high: float
    unfair: float
    alpha: float

    @property
    def needed(self) -> float:
        """The evidence that a decision needs."""
        return 2 / self.alpha

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``open``, or ``unfair`` if the results must not be used."""
        if self.unfair >= UNFAIR:
            return "unfair"
        if self.better >= self.needed:
            return "better"
        return "worse" if self.worse >= self.needed else "open"


def compare(
    outcomes: Values, challenger: NDArray[np.bool_], share: float, *, alpha: float
) -> SequentialResult:
    """Compare the arms after n users.

    ``outcomes`` are (n,) in 0..1 and ``challenger`` says (n,) which users the challenger served,
    both in the order of the users' first lists. ``share`` is the chance of the challenger, between
    0 and 1. Without users all evidence is 1 and d is between -1 and 1.

    Raises:
        ValueError: The lengths differ, or a number is out of range.
    """
    differences = weighted(outcomes, challenger, share)
    better, worse = evidence(differences, share)

    bound = _bound(share)

    def exceeds(sign: int, c: float) -> bool:
        if not differences.size:
            return False
        return bool(wealth(sign * differences - c, bound)[-1] >= 2 / alpha)

    return SequentialResult(
        better=float(better[-1]) if better.size else 1.0,
        worse=float(worse[-1]) if worse.size else 1.0,
        low=_lower_end(lambda c: exceeds(1, c)),
        high=-_lower_end(lambda c: exceeds(-1, c)),
        unfair=imbalance(challenger, share),
        alpha=alpha,
    )


def evidence(differences: Values, share: float) -> tuple[Values, Values]:
    """Return the evidence that the challenger is better, and that it is worse, after each user.

    ``differences`` is the result of :func:`weighted`; both results have its shape.
    """
    bound = _bound(share)
    return wealth(differences, bound), wealth(-differences, bound)


def weighted(outcomes: Values, challenger: NDArray[np.bool_], share: float) -> Values:
    """Return Z of each user; all arrays are (..., n) with users in order along the last axis.

    Raises:
        ValueError: The shapes differ, or a number is out of range.
    """
    outcomes = np.asarray(outcomes, dtype=np.float64)
    if outcomes.shape != challenger.shape:
        raise ValueError(
            f"outcomes have the shape {outcomes.shape} and challenger {challenger.shape}; pass "
            "one entry of each per user"
        )
    if not 0 < share < 1:
        raise ValueError(f"share is {share}; it must be above 0 and below 1, to have two arms")
    if outcomes.size and not (outcomes.min() >= 0 and outcomes.max() <= 1):
        raise ValueError(
            f"outcomes are {outcomes.min()} to {outcomes.max()}; they must be within 0..1"
        )
    sums_before = np.cumsum(outcomes, axis=-1) - outcomes
    centre = (sums_before + 0.5) / (np.arange(outcomes.shape[-1]) + 1)
    weights = np.where(challenger, 1 / share, -1 / (1 - share))
    differences: Values = weights * (outcomes - centre)
    return differences


def wealth(gains: Values, bound: float) -> Values:
    """Return K after each user for gains of at least -``bound``, both (..., n)."""
    logs = np.stack([np.cumsum(np.log1p(bet / bound * gains), axis=-1) for bet in BETS])
    highest = logs.max(axis=0)
    # exp overflows beyond 709; larger evidence changes no decision.
    total: Values = np.exp(np.minimum(highest, 600)) * np.exp(logs - highest).mean(axis=0)
    return total


def imbalance(challenger: NDArray[np.bool_], share: float) -> float:
    """Return the evidence that the challenger does not serve ``share`` of the users.

    The evidence is K above, on A - p. An unfair draw has a cause, such as lost lists of one arm,
    that makes every other result doubtful. Source: Lindon & Malek 2022, "Anytime-valid inference
    for multinomial count data", arXiv:2011.03567.
    """
    if not challenger.size:
        return 1.0
    surplus = challenger.astype(np.float64) - share
    bound = max(share, 1 - share)
    return float((wealth(surplus, bound)[-1] + wealth(-surplus, bound)[-1]) / 2)


def _bound(share: float) -> float:
    """Return the largest possible |Z - c| for |c| <= 1."""
    return max(1 / share, 1 / (1 - share)) + 1


def _lower_end(excluded: Callable[[float], bool]) -> float:
    """Return the largest c in -1..1 below which every value is excluded; -1 without any."""
    low, high = -1.0, 1.0
    if not excluded(low):
        return low
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if excluded(middle) else (low, middle)
    return low
