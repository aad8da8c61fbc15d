"""Where an experiment stands, as plain values and as sentences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.experiments.experiment import Experiment
from moovier.experiments.outcomes import LIKED, Outcomes, Shadows
from moovier.experiments.sequential_test import SequentialResult, compare

#: In the shadow a challenger is withdrawn that finds too few movies in more than this share of so
#: many lists.
SHORT_SHARE, SHORT_PAIRS = 0.01, 100


def of_canary(people: Outcomes, plan: Experiment) -> dict[str, Any]:
    """``arms``, ``difference``, ``evidence``, ``verdict`` (:attr:`SequentialResult.verdict`) and
    ``says``."""
    if 0 < plan.share < 1:
        stands = compare(people.liked, people.challenger, plan.share, alpha=plan.alpha)
    else:  # set by hand: one arm has nobody
        stands = SequentialResult(1.0, 1.0, -1.0, 1.0, 1.0, plan.alpha)
    arms = {
        name: _arm(people, people.challenger == is_challenger, people.waiting[is_challenger])
        for name, is_challenger in (("champion", False), ("challenger", True))
    }
    evidence = {
        "better": stands.better,
        "worse": stands.worse,
        "needed": stands.needed,
        "unfair": stands.unfair,
    }
    return {
        "arms": arms,
        "difference": {"low": stands.low, "high": stands.high},
        "evidence": evidence,
        "verdict": stands.verdict,
        "says": [_compared(arms, stands), _meaning(stands, plan)],
    }


def _arm(people: Outcomes, own: NDArray[np.bool_], waiting: int) -> dict[str, Any]:
    liked, stars = people.liked[own], people.stars[own]
    rated = stars[~np.isnan(stars)]
    return {
        "people": int(liked.size),
        "waiting": waiting,
        "liked": int(liked.sum()),
        "liked_share": float(liked.mean()) if liked.size else None,
        "raters": int(rated.size),
        "mean_stars": float(rated.mean()) if rated.size else None,
    }


def _compared(arms: dict[str, dict[str, Any]], stands: SequentialResult) -> str:
    def one(name: str) -> str:
        arm = arms[name]
        share = "" if arm["liked_share"] is None else f" ({arm['liked_share']:.1%})"
        return f"{arm['liked']} of the {name}'s {arm['people']} people{share}"

    return (
        f"{one('challenger')} gave {LIKED:g} or more stars to a movie recommended to them, "
        f"{one('champion')}; the difference lies between {100 * stands.low:+.1f} and "
        f"{100 * stands.high:+.1f} points ({1 - stands.alpha:.0%}, whenever one looks)"
    )


def _meaning(stands: SequentialResult, plan: Experiment) -> str:
    evidence = (
        f"evidence that it is better {_number(stands.better)}, worse {_number(stands.worse)}; "
        f"{_number(stands.needed)} decides"
    )
    if stands.verdict == "unfair":
        return (
            f"no decision: the challenger's people are not {plan.share:.1%} of all (evidence "
            f"{_number(stands.unfair)}), so the arms cannot be compared; look for lists that one "
            "of them loses, then stop this experiment and start another"
        )
    if stands.verdict == "open":
        return f"not yet: {evidence}"
    return f"the challenger is {stands.verdict}: {evidence}"


def of_shadow(found: Shadows) -> dict[str, Any]:
    """``shadow``, ``verdict`` (``open``, or ``short``: it found too few movies) and ``says``."""
    short = found.pairs >= SHORT_PAIRS and found.short > SHORT_SHARE * found.pairs
    champion, challenger, both = found.liked
    says = [
        f"{found.pairs} lists made a second time"
        + ("" if math.isnan(found.overlap) else f"; {found.overlap:.0%} of the first ten the same"),
        f"of the movies that people liked afterwards the champion's lists had {champion}, the "
        f"challenger's {challenger}, both {both}: biased to the champion, whose lists were shown",
    ]
    if short:
        says.append(f"the challenger found too few movies in {found.short} of {found.pairs} lists")
    else:
        says.append("not yet: what nobody saw proves nothing; a canary can")
    return {
        "shadow": {
            "pairs": found.pairs,
            "short": found.short,
            "overlap": None if math.isnan(found.overlap) else found.overlap,
            "liked": {"champion": champion, "challenger": challenger, "both": both},
        },
        "verdict": "short" if short else "open",
        "says": says,
    }


def _number(evidence: float) -> str:
    return f"{evidence:.2g}" if evidence < 10 else f"{evidence:,.0f}" if evidence < 1e6 else "1e6+"
