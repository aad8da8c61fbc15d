"""Whether a challenger becomes champion: a pure comparison on one hold-out.

All contenders are evaluated on the same hold-out, user by user, so the differences are paired:
what is compared is each user's NDCG@10 under two models, once for users that the models knew and
once for people that they never saw. The interval is the percentile bootstrap over users (Sakai
2006, "Evaluating evaluation metrics based on the bootstrap").
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from moovier.data.arrays import Ints
from moovier.evaluation.metrics import Values, bootstrap

KNOWN, NEW = "known users", "new people"


def _no_users() -> Ints:
    return np.empty(0, dtype=np.int64)


def _no_values() -> Values:
    return np.empty(0, dtype=np.float64)


@dataclass(frozen=True)
class Contender:
    """One model's result on the hold-out.

    ``users``: (n,) MovieLens ids, unique. ``ndcg``: (n,) NDCG@10 of each, 0 to 1. ``new_users`` and
    ``new_ndcg``: the same of people served by fold-in; empty where nobody was held out.
    """

    name: str
    users: Ints
    ndcg: Values
    new_users: Ints = field(default_factory=_no_users)
    new_ndcg: Values = field(default_factory=_no_values)

    @property
    def mean(self) -> float:
        """Mean over its known users; 0 where there are none."""
        return float(np.mean(self.ndcg)) if self.ndcg.size else 0.0

    def of(self, people: str) -> tuple[Ints, Values]:
        """Users and NDCG@10 of ``KNOWN`` or ``NEW`` people."""
        return (self.users, self.ndcg) if people == KNOWN else (self.new_users, self.new_ndcg)


@dataclass(frozen=True)
class Decision:
    """``promote`` and, one readable line each, why."""

    promote: bool
    reasons: list[str]


@dataclass(frozen=True)
class _Comparison:
    """A paired difference, challenger minus rival, with its interval."""

    mean: float
    low: float
    high: float
    line: str

    @property
    def won(self) -> bool:
        return self.low > 0

    @property
    def lost(self) -> bool:
        return self.high < 0


def decide(
    challenger: Contender,
    champion: Contender | None,
    popularity: Contender,
    *,
    knows_more: bool = False,
    seed: int = 0,
) -> Decision:
    """Promote a challenger that beats plain popularity and does not lose to the champion.

    Both among known users and among new people, as far as all were measured on them. To lose is to
    be worse beyond the interval of the paired difference. ``champion`` is None when there is none
    to compare with. ``knows_more`` says that the challenger was trained on other data than the
    champion that serves now, in which case ``champion`` is the champion's recipe on the
    challenger's data: where neither loses the title then goes to the challenger, whose users and
    movies are up to date. On the same data it has to be better on average, too.
    """
    if not challenger.users.size:
        return Decision(False, ["kept: the hold-out has no user to compare on"])
    over_popularity = _compare(challenger, popularity, seed)
    over_champion = {} if champion is None else _compare(challenger, champion, seed)
    reasons = [one.line for one in (*over_popularity.values(), *over_champion.values())]
    for people, found in over_popularity.items():
        if not found.mean > 0:
            return Decision(
                False, [*reasons, f"kept: no better than what is popular among {people}"]
            )
    if champion is None:
        return Decision(
            True, [*reasons, "promoted: better than popularity; no champion to compare with"]
        )
    for people, found in over_champion.items():
        if found.lost:
            return Decision(False, [*reasons, f"kept: worse than {champion.name} among {people}"])
    for people, found in over_champion.items():
        if found.won:
            reason = f"promoted: better than {champion.name} among {people}"
            return Decision(True, [*reasons, reason])
    if knows_more:
        reason = f"promoted: not worse than {champion.name}, trained on newer data"
        return Decision(True, [*reasons, reason])
    if KNOWN in over_champion and over_champion[KNOWN].mean > 0:
        reason = f"promoted: not worse than {champion.name}, and better on average"
        return Decision(True, [*reasons, reason])
    return Decision(False, [*reasons, f"kept: no better than {champion.name}"])


def _compare(left: Contender, right: Contender, seed: int) -> dict[str, _Comparison]:
    """The paired differences among known users and, where both have some, new people."""
    found = {}
    for people in (KNOWN, NEW):
        (left_users, of_left), (right_users, of_right) = left.of(people), right.of(people)
        users, at_left, at_right = np.intersect1d(left_users, right_users, return_indices=True)
        if not users.size:
            if people == KNOWN:
                line = f"{left.name} and {right.name} have no user in common"
                found[people] = _Comparison(np.nan, np.nan, np.nan, line)
            continue
        difference = of_left[at_left] - of_right[at_right]
        mean = float(difference.mean())
        low, high = bootstrap(difference, seed)
        clear = "" if low > 0 or high < 0 else ", not clear-cut"
        line = (
            f"{people}: NDCG@10 {of_left.mean():.4f} against {of_right.mean():.4f} of "
            f"{right.name}: {mean:+.4f} (95 % {low:+.4f} to {high:+.4f}{clear}; "
            f"{users.size} users)"
        )
        found[people] = _Comparison(mean, low, high, line)
    return found
