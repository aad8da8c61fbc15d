"""A comparison of two arms that may be looked at at any time; pure functions on arrays.

People come one after another, t = 1, 2, ..., in the order in which they were first served. Each is
given the challenger with the known chance p, whatever happened before, and has one outcome Y_t in
0..1. With A_t = 1 for the challenger's people,

    Z_t = (A_t / p - (1 - A_t) / (1 - p)) * (Y_t - m_t)

has the mean d, by how much the challenger's outcome is better on average, for any m_t that is
settled before person t: inverse propensity weights with an augmentation (Cook, Mishler & Ramdas
2024, "Semiparametric efficient inference in adaptive experiments", arXiv:2311.18274). We take the
mean outcome so far for m_t. Nothing is asked of the people: outcomes may drift, cluster in time
or depend on each other; only the draw must be fair, which :func:`imbalance` checks.

Whether d = c is put to a bet (Waudby-Smith & Ramdas 2024, "Estimating means of bounded random
variables by betting", doi:10.1093/jrsssb/qkad009). With B the largest that |Z_t - c| can be,

    K_t(c) = mean over f in BETS of the product over s <= t of 1 + (f / B) * (Z_s - c)

is what somebody has after starting with 1 and betting that d > c; where that is not so, K_t is a
non-negative supermartingale, and the chance that it ever reaches x is at most 1 / x (Ville 1939).
The same with Z and c turned round bets that d < c. So "one of the two reached 2 / alpha" is wrong
with a chance of at most alpha, however often and whenever one looks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

#: Shares of the largest bet that cannot ruin. The best one depends on how large d is; half of all
#: there is would be lost with a bad one, so the money is spread.
BETS: Values = 0.5 ** np.arange(1, 11, dtype=np.float64)
#: Evidence beyond which the draw is not believed to be fair: wrong once in a thousand experiments.
UNFAIR = 1000.0


@dataclass(frozen=True)
class SequentialResult:
    """How two arms compare.

    ``better`` and ``worse``: evidence (K_t(0) above) that the challenger is better or worse, 1 at
    the start. ``low`` and ``high``: d lies between them at all times with a chance of at least 1 -
    alpha. ``unfair``: evidence that the draw was not as it was said.
    """

    better: float
    worse: float
    low: float
    high: float
    unfair: float
    alpha: float

    @property
    def needed(self) -> float:
        """Evidence from which on there is a decision."""
        return 2 / self.alpha

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``open``, or ``unfair``: the figures must not be used."""
        if self.unfair >= UNFAIR:
            return "unfair"
        if self.better >= self.needed:
            return "better"
        return "worse" if self.worse >= self.needed else "open"


def compare(
    outcomes: Values, challenger: NDArray[np.bool_], share: float, *, alpha: float
) -> SequentialResult:
    """Where the comparison stands after n people.

    ``outcomes``: (n,) in 0..1; ``challenger``: (n,), who was given the challenger; both in the
    order in which people were first served. ``share``: chance of being given the challenger,
    between 0 and 1. Of nobody the evidence is 1 and d anything from -1 to 1.

    Raises:
        ValueError: lengths differ, or a number is out of range.
    """
    differences = weighted(outcomes, challenger, share)
    bound = _bound(share)

    def ever(sign: int, c: float) -> float:
        return float(wealth(sign * (differences - c), bound)[-1]) if differences.size else 1.0

    return SequentialResult(
        better=ever(1, 0.0),
        worse=ever(-1, 0.0),
        low=_edge(lambda c: ever(1, c) >= 2 / alpha),
        high=-_edge(lambda c: ever(-1, -c) >= 2 / alpha),
        unfair=imbalance(challenger, share),
        alpha=alpha,
    )


def paths(outcomes: Values, challenger: NDArray[np.bool_], share: float) -> tuple[Values, Values]:
    """Evidence that the challenger is better, and worse, after each person: (..., n) as given."""
    differences = weighted(outcomes, challenger, share)
    bound = _bound(share)
    return wealth(differences, bound), wealth(-differences, bound)


def weighted(outcomes: Values, challenger: NDArray[np.bool_], share: float) -> Values:
    """Z of each person, (..., n) as given; the last axis is the order of people."""
    outcomes = np.asarray(outcomes, dtype=np.float64)
    if outcomes.shape != challenger.shape:
        raise ValueError(f"{outcomes.shape} outcomes for {challenger.shape} people")
    if not 0 < share < 1:
        raise ValueError(f"with a share of {share} there are no two arms to compare")
    if outcomes.size and not (outcomes.min() >= 0 and outcomes.max() <= 1):
        raise ValueError("an outcome lies outside 0..1")
    before = np.cumsum(outcomes, axis=-1) - outcomes
    centre = (before + 0.5) / (np.arange(outcomes.shape[-1]) + 1)
    weights = np.where(challenger, 1 / share, -1 / (1 - share))
    weighted: Values = weights * (outcomes - centre)
    return weighted


def wealth(gains: Values, bound: float) -> Values:
    """K after each person, (..., n) as given, for gains of at least -``bound``."""
    logs = np.stack([np.cumsum(np.log1p(bet / bound * gains), axis=-1) for bet in BETS])
    highest = logs.max(axis=0)
    # Beyond e^700 a number is infinite; nobody needs to know how sure that is.
    found: Values = np.exp(np.minimum(highest, 600)) * np.exp(logs - highest).mean(axis=0)
    return found


def imbalance(challenger: NDArray[np.bool_], share: float) -> float:
    """Evidence that the challenger's people are not ``share`` of all, as K above on A - p.

    A draw that is not fair has a cause, such as lists that one arm loses, and everything else
    that is measured is then in doubt: Lindon & Malek 2022, "Anytime-valid inference for multinomial
    count data", arXiv:2011.03567.
    """
    if not challenger.size:
        return 1.0
    surplus = challenger.astype(np.float64) - share
    bound = max(share, 1 - share)
    return float((wealth(surplus, bound)[-1] + wealth(-surplus, bound)[-1]) / 2)


def _bound(share: float) -> float:
    """The most that |Z - c| can be, for |c| <= 1."""
    return max(1 / share, 1 / (1 - share)) + 1


def _edge(excluded: Callable[[float], bool]) -> float:
    """The greatest c in -1..1 that is excluded together with all below it; -1 where none is."""
    low, high = -1.0, 1.0
    if not excluded(low):
        return low
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if excluded(middle) else (low, middle)
    return low
