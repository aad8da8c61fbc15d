"""The promotion gate: decide whether a challenger becomes champion.

All models are evaluated on the same users, so the differences are paired. Two protocols decide,
*visitor* and *next visit* (docs/metrics.md). A model wins if the interval of the paired difference
is above 0, and loses if the interval is below 0. The interval is the percentile bootstrap over
users (Sakai 2006, "Evaluating evaluation metrics based on the bootstrap").
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
    """One model's NDCG@10 of each user under each protocol, 0 to 1.

    Users are unique MovieLens ids. ``users`` and ``ndcg``: (n,), the old split by time.
    ``visitor_users`` and ``visitor_ndcg``: (n,) and (n, len(KS)), NaN if a user has too few ratings
    for that k. ``next_visit_users`` and ``next_visit_ndcg``: (n,). Arrays are empty if no user
    takes part, or if the result was stored before the protocol existed.
    """

    name: str
    users: Ints = field(default_factory=_no_users)
    ndcg: Values = field(default_factory=_no_values)
    visitor_users: Ints = field(default_factory=_no_users)
    visitor_ndcg: Values = field(default_factory=_no_rows)
    next_visit_users: Ints = field(default_factory=_no_users)
    next_visit_ndcg: Values = field(default_factory=_no_values)

    def of(self, protocol: str) -> tuple[Ints, Values]:
        """Return users and NDCG@10 under ``VISITOR``, ``NEXT_VISIT`` or ``BY_TIME``."""
        return {
            VISITOR: (self.visitor_users, self.visitor_ndcg),
            NEXT_VISIT: (self.next_visit_users, self.next_visit_ndcg),
            BY_TIME: (self.users, self.ndcg),
        }[protocol]

    @property
    def has_users(self) -> bool:
        """Whether any protocol has a user; none has for a model that only predicts stars."""
        return any(self.of(protocol)[0].size for protocol in (VISITOR, NEXT_VISIT, BY_TIME))


@dataclass(frozen=True)
class Decision:
    """Whether to promote, and the reasons, one line each."""

    promote: bool
    reasons: list[str]


@dataclass(frozen=True)
class _Comparison:
    """A paired difference, challenger minus rival, with its interval.

    ``lost_at``: numbers of ratings at which the challenger is worse for visitors.
    """

    protocol: str
    users: int
    low: float
    high: float
    line: str
    lost_at: tuple[int, ...] = ()

    @property
    def won(self) -> bool:
        """Whether the interval is above 0."""
        return self.low > 0

    @property
    def lost(self) -> bool:
        """Whether the interval is below 0."""
        return self.high < 0


def decide(
    challenger: HoldOutResult,
    champion: HoldOutResult | None,
    popularity: HoldOutResult,
    *,
    knows_more: bool = False,
    seed: int = 0,
) -> Decision:
    """Decide whether to promote a challenger, by comparisons on one hold-out.

    The challenger must win against popularity on both protocols, and must not lose to it at any
    number of a visitor's ratings. It must not lose to the champion on either protocol, and on the
    same data it must win against the champion on one of them.

    ``champion``: None if there is none to compare with. ``knows_more``: the challenger was trained
    on other data than the current champion, and ``champion`` is the result of the champion's recipe
    on the challenger's data. Then not losing is enough, because the challenger knows the newest
    users and movies.

    A protocol with fewer than ``LEAST_PEOPLE`` users decides nothing. If neither has enough, the
    old split by time decides. A champion without any measured list, such as a model of stars that
    was promoted by hand, is not compared with: otherwise nothing could ever replace it.
    """
    decisive, reasons = _compare(challenger, popularity, seed)
    if champion is not None and not champion.has_users:
        reasons.append(f"{champion.name} has no measured lists; comparison skipped")
        champion = None
    against_champion: list[_Comparison] = []
    if champion is not None:
        against_champion, more_reasons = _compare(challenger, champion, seed)
        reasons += more_reasons
    verdict = _against_popularity(decisive, popularity.name)
    if verdict is None and champion is not None:
        verdict = _against_champion(against_champion, champion.name, knows_more=knows_more)
    elif verdict is None:
        verdict = True, "promoted: better than popularity; no champion to compare with"
    assert verdict is not None
    return Decision(verdict[0], [*reasons, verdict[1]])


def _against_popularity(comparisons: Sequence[_Comparison], name: str) -> tuple[bool, str] | None:
    """Return False and the reason, or None if the challenger may be promoted."""
    if not comparisons:
        return False, f"kept: the hold-out has no user to compare with {name} on"
    for comparison in comparisons:
        if not comparison.won:
            return False, f"kept: not clearly better than {name} on {comparison.protocol}"
    for comparison in comparisons:
        if comparison.lost_at:
            ks = ", ".join(map(str, comparison.lost_at))
            return False, f"kept: worse than {name} for visitors with k = {ks} ratings"
    return None


def _against_champion(
    comparisons: Sequence[_Comparison], name: str, *, knows_more: bool
) -> tuple[bool, str]:
    """Return whether the challenger replaces the champion, and the reason."""
    if not comparisons:
        return False, f"kept: the hold-out has no user to compare with {name} on"
    for comparison in comparisons:
        if comparison.lost:
            return False, f"kept: worse than {name} on {comparison.protocol}"
    for comparison in comparisons:
        if comparison.won:
            return True, f"promoted: better than {name} on {comparison.protocol}, and worse on none"
    if knows_more:
        return True, f"promoted: not worse than {name}, trained on newer data"
    return False, f"kept: not clearly better than {name} on any protocol"


def _compare(
    left: HoldOutResult, right: HoldOutResult, seed: int
) -> tuple[list[_Comparison], list[str]]:
    """Return the comparisons that decide, and one line for each comparison."""
    decisive, lines = [], []
    for protocol in (VISITOR, NEXT_VISIT):
        comparison = _compare_on(protocol, left, right, seed)
        if comparison is None:
            lines.append(f"{protocol}: {left.name} and {right.name} have no user in common")
        elif comparison.users < LEAST_PEOPLE:
            lines.append(f"{comparison.line}; decides nothing: fewer than {LEAST_PEOPLE} users")
        else:
            decisive.append(comparison)
            lines.append(comparison.line)
    if decisive:
        return decisive, lines
    lines.append(
        f"neither protocol has {LEAST_PEOPLE} users to compare with {right.name} on: "
        "the split by time decides"
    )
    comparison = _compare_on(BY_TIME, left, right, seed)
    if comparison is None:
        lines.append(f"{BY_TIME}: {left.name} and {right.name} have no user in common")
        return [], lines
    return [comparison], [*lines, comparison.line]


def _compare_on(
    protocol: str, left: HoldOutResult, right: HoldOutResult, seed: int
) -> _Comparison | None:
    """Return the paired difference on the common users, or None if there are none."""
    (left_users, left_ndcg), (right_users, right_ndcg) = left.of(protocol), right.of(protocol)
    users, left_rows, right_rows = np.intersect1d(left_users, right_users, return_indices=True)
    if not users.size:
        return None
    left_ndcg, right_ndcg = left_ndcg[left_rows], right_ndcg[right_rows]
    difference = left_ndcg - right_ndcg
    low, high = bootstrap(difference, seed)
    clear = "" if low > 0 or high < 0 else ", not clear-cut"
    line = (
        f"{protocol}: NDCG@10 {metrics.mean(left_ndcg):.4f} against "
        f"{metrics.mean(right_ndcg):.4f} of {right.name}: {metrics.mean(difference):+.4f} "
        f"(95 % {low:+.4f} to {high:+.4f}{clear}; {users.size} users)"
    )
    lost_at = _lost_at(difference, seed) if protocol == VISITOR else {}
    if lost_at:
        parts = ", ".join(f"k = {k}: {interval}" for k, interval in lost_at.items())
        line = f"{line}; worse at {parts}"
    return _Comparison(protocol, int(users.size), low, high, line, tuple(lost_at))


def _lost_at(difference: Values, seed: int) -> dict[int, str]:
    """Return the numbers of ratings with an interval below 0.

    ``difference``: (n, len(KS)). Columns with fewer than ``LEAST_PEOPLE`` users decide nothing.
    """
    lost_at = {}
    for column, k in enumerate(KS):
        values = difference[:, column]
        if np.count_nonzero(~np.isnan(values)) < LEAST_PEOPLE:
            continue
        low, high = bootstrap(values, seed)
        if high < 0:
            lost_at[k] = f"{metrics.mean(values):+.4f} (95 % {low:+.4f} to {high:+.4f})"
    return lost_at
