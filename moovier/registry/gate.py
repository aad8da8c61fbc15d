"""The gate: whether a challenger becomes champion, a pure comparison on one hold-out.

All models are evaluated on the same people, so the differences are paired. Two protocols decide,
*visitor* and *next visit* (docs/metrics.md). To win is to be better beyond the interval of the
paired difference, to lose is to be worse beyond it. The interval is the percentile bootstrap over
people (Sakai 2006, "Evaluating evaluation metrics based on the bootstrap").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from moovier.data.ratings import Ints
from moovier.evaluation import metrics
from moovier.evaluation.metrics import Values, bootstrap
from moovier.evaluation.visitor import KS, LEAST_PEOPLE

VISITOR, NEXT_VISIT, BY_TIME = "visitor", "next visit", "split by time"


def _no_users() -> Ints:
    return np.empty(0, dtype=np.int64)


def _no_values() -> Values:
    return np.empty(0, dtype=np.float64)


def _no_rows() -> Values:
    return np.empty((0, len(KS)), dtype=np.float64)


@dataclass(frozen=True)
class HoldOutResult:
    """One model's NDCG@10 of each person under each protocol, 0 to 1.

    People are MovieLens ids, unique. ``users`` and ``ndcg``: (n,), the old split by time.
    ``visitor_users`` and ``visitor_ndcg``: (n,) and (n, len(KS)), NaN where a person has too few
    ratings for that k. ``next_visit_users`` and ``next_visit_ndcg``: (n,). Empty where nobody
    takes part, or where the result was stored before the protocol existed.
    """

    name: str
    users: Ints = field(default_factory=_no_users)
    ndcg: Values = field(default_factory=_no_values)
    visitor_users: Ints = field(default_factory=_no_users)
    visitor_ndcg: Values = field(default_factory=_no_rows)
    next_visit_users: Ints = field(default_factory=_no_users)
    next_visit_ndcg: Values = field(default_factory=_no_values)

    def of(self, protocol: str) -> tuple[Ints, Values]:
        """Return people and NDCG@10 under ``VISITOR``, ``NEXT_VISIT`` or ``BY_TIME``."""
        return {
            VISITOR: (self.visitor_users, self.visitor_ndcg),
            NEXT_VISIT: (self.next_visit_users, self.next_visit_ndcg),
            BY_TIME: (self.users, self.ndcg),
        }[protocol]


@dataclass(frozen=True)
class Decision:
    """``promote`` and the reasons, one readable line each."""

    promote: bool
    reasons: list[str]


@dataclass(frozen=True)
class _Comparison:
    """A paired difference, challenger minus rival, with its interval.

    ``lost_at``: numbers of ratings at which visitors are served worse.
    """

    protocol: str
    people: int
    low: float
    high: float
    line: str
    lost_at: tuple[int, ...] = ()

    @property
    def won(self) -> bool:
        return self.low > 0

    @property
    def lost(self) -> bool:
        return self.high < 0


def decide(
    challenger: HoldOutResult,
    champion: HoldOutResult | None,
    popularity: HoldOutResult,
    *,
    knows_more: bool = False,
    seed: int = 0,
) -> Decision:
    """Promote a challenger that beats popularity and the champion on the protocols that decide.

    It must win against popularity on each protocol and lose to it at no number of ratings of a
    visitor, and must not lose to the champion on either. On the same data it must win against the
    champion on one of them. ``knows_more``: the challenger was trained on other data than the
    champion that serves now, and ``champion`` is the champion's recipe on the challenger's data;
    then not losing is enough, since its users and movies are up to date. ``champion`` is None
    when there is none to compare with.

    A protocol with fewer than ``LEAST_PEOPLE`` people decides nothing; where neither has enough,
    the old split by time decides.
    """
    decisive, reasons = _compare(challenger, popularity, seed)
    against: list[_Comparison] = []
    if champion is not None:
        against, more = _compare(challenger, champion, seed)
        reasons += more
    verdict = _against_popularity(decisive, popularity.name)
    if verdict is None and champion is not None:
        verdict = _against_champion(against, champion.name, knows_more=knows_more)
    elif verdict is None:
        verdict = True, "promoted: better than popularity; no champion to compare with"
    assert verdict is not None
    return Decision(verdict[0], [*reasons, verdict[1]])


def _against_popularity(found: Sequence[_Comparison], name: str) -> tuple[bool, str] | None:
    """Return why the challenger is kept back, None where it passes."""
    if not found:
        return False, f"kept: the hold-out has no person to compare with {name} on"
    for one in found:
        if not one.won:
            return False, f"kept: not clearly better than {name} on {one.protocol}"
    for one in found:
        if one.lost_at:
            places = ", ".join(map(str, one.lost_at))
            return False, f"kept: worse than {name} for visitors with k = {places} ratings"
    return None


def _against_champion(
    found: Sequence[_Comparison], name: str, *, knows_more: bool
) -> tuple[bool, str]:
    if not found:
        return False, f"kept: the hold-out has no person to compare with {name} on"
    for one in found:
        if one.lost:
            return False, f"kept: worse than {name} on {one.protocol}"
    for one in found:
        if one.won:
            return True, f"promoted: better than {name} on {one.protocol}, and worse on none"
    if knows_more:
        return True, f"promoted: not worse than {name}, trained on newer data"
    return False, f"kept: not clearly better than {name} on any protocol"


def _compare(
    left: HoldOutResult, right: HoldOutResult, seed: int
) -> tuple[list[_Comparison], list[str]]:
    """Return the comparisons that decide, and a line for each that was made."""
    decisive, lines = [], []
    for protocol in (VISITOR, NEXT_VISIT):
        found = _compare_on(protocol, left, right, seed)
        if found is None:
            lines.append(f"{protocol}: {left.name} and {right.name} have no person in common")
        elif found.people < LEAST_PEOPLE:
            lines.append(f"{found.line}; decides nothing: fewer than {LEAST_PEOPLE} people")
        else:
            decisive.append(found)
            lines.append(found.line)
    if decisive:
        return decisive, lines
    lines.append(
        f"neither protocol has {LEAST_PEOPLE} people to compare with {right.name} on: "
        "the split by time decides"
    )
    found = _compare_on(BY_TIME, left, right, seed)
    if found is None:
        lines.append(f"{BY_TIME}: {left.name} and {right.name} have no person in common")
        return [], lines
    return [found], [*lines, found.line]


def _compare_on(
    protocol: str, left: HoldOutResult, right: HoldOutResult, seed: int
) -> _Comparison | None:
    """Return the paired difference on the people in common, None where there are none."""
    (left_users, of_left), (right_users, of_right) = left.of(protocol), right.of(protocol)
    users, at_left, at_right = np.intersect1d(left_users, right_users, return_indices=True)
    if not users.size:
        return None
    ours, theirs = of_left[at_left], of_right[at_right]
    difference = ours - theirs
    low, high = bootstrap(difference, seed)
    clear = "" if low > 0 or high < 0 else ", not clear-cut"
    line = (
        f"{protocol}: NDCG@10 {metrics.mean(ours):.4f} against {metrics.mean(theirs):.4f} of "
        f"{right.name}: {metrics.mean(difference):+.4f} (95 % {low:+.4f} to {high:+.4f}{clear}; "
        f"{users.size} people)"
    )
    lost_at = _lost_at(difference, seed) if protocol == VISITOR else {}
    if lost_at:
        parts = ", ".join(f"k = {k}: {interval}" for k, interval in lost_at.items())
        line = f"{line}; worse at {parts}"
    return _Comparison(protocol, int(users.size), low, high, line, tuple(lost_at))


def _lost_at(difference: Values, seed: int) -> dict[int, str]:
    """Return the numbers of ratings at which the difference is clearly below 0, with intervals.

    ``difference``: (n, len(KS)). Columns with fewer than ``LEAST_PEOPLE``
    people decide nothing.
    """
    found = {}
    for column, k in enumerate(KS):
        values = difference[:, column]
        if np.count_nonzero(~np.isnan(values)) < LEAST_PEOPLE:
            continue
        low, high = bootstrap(values, seed)
        if high < 0:
            found[k] = f"{metrics.mean(values):+.4f} (95 % {low:+.4f} to {high:+.4f})"
    return found
