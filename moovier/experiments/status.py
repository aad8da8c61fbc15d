"""Describe the status of an experiment, as plain values and as sentences."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from moovier.data.ratings import LIKED_STARS
from moovier.experiments.experiment import Experiment
from moovier.experiments.outcomes import Outcomes, Shadows
from moovier.experiments.sequential_test import SequentialResult, compare

#: A shadow challenger is withdrawn if it found fewer movies in more than this share of the lists.
SHORT_SHARE = 0.01
#: Fewest pairs of lists for that decision.
SHORT_PAIRS = 100


def canary_status(outcomes: Outcomes, experiment: Experiment) -> dict[str, Any]:
    """Return the status of a canary.

    The keys are ``arms``, ``difference``, ``evidence``, ``verdict``
    (:attr:`SequentialResult.verdict`) and ``says``, the sentences.
    """
    if 0 < experiment.share < 1:
        result = compare(
            outcomes.liked, outcomes.challenger, experiment.share, alpha=experiment.alpha
        )
    else:  # A tag written by hand may leave one arm without users.
        result = SequentialResult(1.0, 1.0, -1.0, 1.0, 1.0, experiment.alpha)
    arms = {
        name: _arm(outcomes, outcomes.challenger == is_challenger, outcomes.waiting[is_challenger])
        for name, is_challenger in (("champion", False), ("challenger", True))
    }
    return {
        "arms": arms,
        "difference": {"low": result.low, "high": result.high},
        "evidence": {
            "better": result.better,
            "worse": result.worse,
            "needed": result.needed,
            "unfair": result.unfair,
        },
        "verdict": result.verdict,
        "says": [_comparison(arms, result), _conclusion(result, experiment)],
    }


def _arm(outcomes: Outcomes, served: NDArray[np.bool_], waiting: int) -> dict[str, Any]:
    liked, stars = outcomes.liked[served], outcomes.stars[served]
    rated = stars[~np.isnan(stars)]
    return {
        "people": int(liked.size),
        "waiting": waiting,
        "liked": int(liked.sum()),
        "liked_share": float(liked.mean()) if liked.size else None,
        "raters": int(rated.size),
        "mean_stars": float(rated.mean()) if rated.size else None,
    }


def _comparison(arms: dict[str, dict[str, Any]], result: SequentialResult) -> str:
    def likes(name: str) -> str:
        arm = arms[name]
        share = "" if arm["liked_share"] is None else f" ({arm['liked_share']:.1%})"
        return f"{arm['liked']} of {arm['people']} users{share} of the {name}"

    return (
        f"{likes('challenger')} and {likes('champion')} gave {LIKED_STARS:g} or more stars to a "
        f"recommended movie; the difference is between {100 * result.low:+.1f} and "
        f"{100 * result.high:+.1f} points ({1 - result.alpha:.0%} confidence at any time)"
    )


def _conclusion(result: SequentialResult, experiment: Experiment) -> str:
    evidence = (
        f"evidence for better {_number(result.better)}, for worse {_number(result.worse)}; a "
        f"decision needs {_number(result.needed)}"
    )
    if result.verdict == "unfair":
        return (
            f"no decision: the challenger did not serve {experiment.share:.1%} of the users "
            f"(evidence {_number(result.unfair)}), so the arms cannot be compared; find out which "
            "arm loses lists, then stop this experiment and start a new one"
        )
    if result.verdict == "open":
        return f"not yet: {evidence}"
    return f"the challenger is {result.verdict}: {evidence}"


def shadow_status(shadows: Shadows) -> dict[str, Any]:
    """Return the status of a shadow.

    The keys are ``shadow``, ``verdict`` and ``says``, the sentences. The verdict is ``short`` if
    the challenger found too few movies, else ``open``.
    """
    short = shadows.pairs >= SHORT_PAIRS and shadows.short > SHORT_SHARE * shadows.pairs
    champion, challenger, both = shadows.liked
    same = "" if math.isnan(shadows.overlap) else f"; {shadows.overlap:.0%} of the top 10 equal"
    sentences = [
        f"the challenger computed {shadows.pairs} lists a second time{same}",
        f"of the movies that users liked afterwards, {champion} were on the champion's lists, "
        f"{challenger} on the challenger's and {both} on both: biased towards the champion, whose "
        "lists were shown",
    ]
    if short:
        sentences.append(
            f"the challenger found too few movies in {shadows.short} of {shadows.pairs} lists"
        )
    else:
        sentences.append("no decision: lists that nobody saw cannot show a gain; use a canary")
    return {
        "shadow": {
            "pairs": shadows.pairs,
            "short": shadows.short,
            "overlap": None if math.isnan(shadows.overlap) else shadows.overlap,
            "liked": {"champion": champion, "challenger": challenger, "both": both},
        },
        "verdict": "short" if short else "open",
        "says": sentences,
    }


def _number(evidence: float) -> str:
    return f"{evidence:.2g}" if evidence < 10 else f"{evidence:,.0f}" if evidence < 1e6 else "1e6+"
