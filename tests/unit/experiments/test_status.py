from __future__ import annotations

import math

import numpy as np
import pytest

from moovier.experiments.experiment import Experiment
from moovier.experiments.outcomes import Outcomes, Shadows
from moovier.experiments.status import SHORT_PAIRS, canary_status, shadow_status


def outcomes(liked: list[float], challenger: list[bool]) -> Outcomes:
    stars = np.where(np.array(liked) > 0, 4.0, math.nan)
    users = np.arange(len(liked))
    return Outcomes(users, np.array(challenger, bool), np.array(liked), stars, (1, 2))


def canary(share: float = 0.5) -> Experiment:
    return Experiment(id="autumn", mode="canary", share=share)


def test_canary_status_counts_each_arm() -> None:
    status = canary_status(outcomes([1, 0, 0, 1], [True, True, False, True]), canary())
    challenger, champion = status["arms"]["challenger"], status["arms"]["champion"]
    assert (challenger["people"], challenger["liked"], challenger["waiting"]) == (3, 2, 2)
    assert (champion["people"], champion["liked"], champion["waiting"]) == (1, 0, 1)
    assert challenger["mean_stars"] == 4
    assert champion["mean_stars"] is None
    assert status["verdict"] == "open"
    assert status["says"][0].startswith("2 of 3 users (66.7%) of the challenger and 0 of 1 users")
    assert status["says"][1].startswith("not yet")


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_canary_with_one_arm_stays_open(share: float) -> None:
    status = canary_status(outcomes([1.0] * 50, [share == 1] * 50), canary(share))
    assert status["verdict"] == "open"
    assert status["difference"] == {"low": -1, "high": 1}


def test_clear_difference_is_the_verdict() -> None:
    challenger = [number % 2 == 0 for number in range(400)]
    status = canary_status(outcomes([float(served) for served in challenger], challenger), canary())
    assert status["verdict"] == "better"
    assert status["says"][1].startswith("the challenger is better")


def test_shadow_that_finds_too_few_movies_is_short() -> None:
    short = shadow_status(Shadows(SHORT_PAIRS, 2, 0.5, (3, 2, 1)))
    assert short["verdict"] == "short"
    assert "too few movies in 2 of 100 lists" in short["says"][-1]
    for few in (
        Shadows(SHORT_PAIRS, 1, 0.5, (3, 2, 1)),
        Shadows(SHORT_PAIRS - 1, 50, 0.5, (0, 0, 0)),
    ):
        assert shadow_status(few)["verdict"] == "open"


def test_shadow_without_pairs_has_no_overlap() -> None:
    status = shadow_status(Shadows(0, 0, math.nan, (0, 0, 0)))
    assert status["shadow"]["overlap"] is None
    assert status["verdict"] == "open"
