"""Whether a challenger becomes champion: a pure comparison on one hold-out.

All contenders are evaluated on the same hold-out, user by user, so the differences are paired:
what is compared is each user's NDCG@10 under two models. The interval is the percentile
bootstrap over users (Sakai 2006, "Evaluating evaluation metrics based on the bootstrap").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from moovier.data.arrays import Ints
from moovier.evaluation.metrics import Values, bootstrap


@dataclass(frozen=True)
class Contender:
    """One model's result on the hold-out.

    ``users``: (n,) MovieLens ids, unique. ``ndcg``: (n,) NDCG@10 of each, 0 to 1.
    """

    name: str
    users: Ints
    ndcg: Values

    @property
    def mean(self) -> float:
        """Mean over its users; 0 where there are none."""
        return float(np.mean(self.ndcg)) if self.ndcg.size else 0.0


@dataclass(frozen=True)
class Decision:
    """``promote`` and, one readable line each, why."""

    promote: bool
    reasons: list[str]


def decide(
    challenger: Contender,
    champion: Contender | None,
    popularity: Contender,
    *,
    knows_more: bool = False,
    seed: int = 0,
) -> Decision:
    """Promote a challenger that beats plain popularity and does not lose to the champion.

    ``champion`` is None when there is none to compare with. ``knows_more`` says that the
    challenger was trained on other data than the champion that serves now, in which case
    ``champion`` is the champion's recipe on the challenger's data: a draw then goes to the
    challenger, whose users and movies are up to date. On the same data a draw keeps the champion.
    """
    if not challenger.users.size:
        return Decision(False, ["kept: the hold-out has no user to compare on"])
    over_popularity, line = _compare(challenger, popularity, seed)
    reasons = [line]
    over_champion = 0.0
    if champion is not None:
        over_champion, line = _compare(challenger, champion, seed)
        reasons.append(line)
    if not over_popularity > 0:
        return Decision(False, [*reasons, "kept: no better than recommending what is popular"])
    if champion is None:
        return Decision(
            True, [*reasons, "promoted: better than popularity; no champion to compare with"]
        )
    if over_champion > 0:
        return Decision(True, [*reasons, f"promoted: better than {champion.name}"])
    if over_champion == 0 and knows_more:
        return Decision(
            True, [*reasons, f"promoted: as good as {champion.name}, trained on newer data"]
        )
    return Decision(False, [*reasons, f"kept: no better than {champion.name}"])


def _compare(left: Contender, right: Contender, seed: int) -> tuple[float, str]:
    """Mean paired difference over the users that both have, and the line that says it."""
    _, of_left, of_right = np.intersect1d(left.users, right.users, return_indices=True)
    if not of_left.size:
        return float("nan"), f"{left.name} and {right.name} have no user in common"
    difference = left.ndcg[of_left] - right.ndcg[of_right]
    low, high = bootstrap(difference, seed)
    mean = float(difference.mean())
    clear = "" if low > 0 or high < 0 else ", not clear-cut"
    return mean, (
        f"NDCG@10 {left.mean:.4f} against {right.mean:.4f} of {right.name}: {mean:+.4f} "
        f"(95 % {low:+.4f} to {high:+.4f}{clear}; {of_left.size} users)"
    )
