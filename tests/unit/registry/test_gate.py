from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.evaluation.visitor import KS
from moovier.registry.gate import HoldOutResult, decide

USERS = 40


def spread(mean: float, seed: int, n: int = USERS) -> NDArray[np.float64]:
    """Return values per user that differ and have exactly this mean."""
    values = np.random.default_rng(seed).uniform(-0.05, 0.05, n)
    centred: NDArray[np.float64] = mean + values - values.mean()
    return centred


def result(
    name: str,
    visitor: float | tuple[float, ...],
    next_visit: float,
    *,
    by_time: float = 0.1,
    users: tuple[int, int] = (USERS, USERS),
    seed: int = 0,
) -> HoldOutResult:
    """Return a result.

    ``visitor``: one mean for all k, or one per k. ``users``: numbers of users per protocol.
    """
    means = (visitor,) * len(KS) if isinstance(visitor, float) else visitor
    return HoldOutResult(
        name,
        users=np.arange(1, USERS + 1),
        ndcg=spread(by_time, seed),
        visitor_users=np.arange(100, 100 + users[0]),
        visitor_ndcg=np.stack([spread(mean, seed, users[0]) for mean in means], axis=1),
        next_visit_users=np.arange(500, 500 + users[1]),
        next_visit_ndcg=spread(next_visit, seed, users[1]),
    )


POPULAR = result("popularity", 0.33, 0.08)
OLD = result("old", 0.40, 0.11)


def test_first_champion_must_beat_popularity_on_both_protocols() -> None:
    decision = decide(result("new", 0.41, 0.12), None, POPULAR)
    assert decision.promote
    assert decision.reasons == [
        "visitor: NDCG@10 0.4100 against 0.3300 of popularity: +0.0800 "
        "(95 % +0.0800 to +0.0800; 40 users)",
        "next visit: NDCG@10 0.1200 against 0.0800 of popularity: +0.0400 "
        "(95 % +0.0400 to +0.0400; 40 users)",
        "promoted: better than popularity; no champion to compare with",
    ]


@pytest.mark.parametrize(
    ("visitor", "next_visit", "protocol"),
    [(0.30, 0.12, "visitor"), (0.41, 0.07, "next visit"), (0.33, 0.12, "visitor")],
)
def test_no_win_against_popularity_on_one_protocol_prevents_promotion(
    visitor: float, next_visit: float, protocol: str
) -> None:
    """A draw does not count as a win, even against a bad champion."""
    bad_champion = result("old", 0.2, 0.05)
    for champion in (None, bad_champion):
        decision = decide(result("new", visitor, next_visit), champion, POPULAR, knows_more=True)
        assert not decision.promote
        assert decision.reasons[-1] == f"kept: not clearly better than popularity on {protocol}"


def test_unclear_win_against_popularity_prevents_promotion() -> None:
    unclear = result("new", 0.331, 0.12, seed=7)
    decision = decide(unclear, None, POPULAR)
    assert not decision.promote
    assert "not clear-cut" in decision.reasons[0]


def test_loss_against_popularity_at_one_rating_prevents_promotion() -> None:
    new = result("new", (0.30, 0.42, 0.45, 0.47, 0.49), 0.15)
    decision = decide(new, None, POPULAR)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than popularity for visitors with k = 1 ratings"
    assert "worse at k = 1: -0.0300 (95 % -0.0300 to -0.0300)" in decision.reasons[0]


def test_one_k_with_too_few_users_decides_nothing() -> None:
    new = result("new", (0.42, 0.42, 0.45, 0.47, 0.20), 0.15)
    few = new.visitor_ndcg.copy()
    few[19:, -1] = np.nan
    assert not decide(new, None, POPULAR).promote
    assert decide(replace(new, visitor_ndcg=few), None, POPULAR).promote


def test_win_against_the_champion_on_one_protocol_promotes() -> None:
    for new in (result("new", 0.42, 0.11), result("new", 0.40, 0.13)):
        decision = decide(new, OLD, POPULAR)
        assert decision.promote
        assert "promoted: better than old on " in decision.reasons[-1]
        assert sum("of old" in line for line in decision.reasons) == 2


@pytest.mark.parametrize(
    ("visitor", "next_visit", "protocol"),
    [(0.39, 0.2, "visitor"), (0.5, 0.10, "next visit")],
)
def test_loss_against_the_champion_on_one_protocol_prevents_promotion(
    visitor: float, next_visit: float, protocol: str
) -> None:
    for knows_more in (False, True):
        new = result("new", visitor, next_visit)
        decision = decide(new, OLD, POPULAR, knows_more=knows_more)
        assert not decision.promote
        assert decision.reasons[-1] == f"kept: worse than old on {protocol}"


def test_draw_promotes_only_a_model_of_newer_data() -> None:
    new = replace(OLD, name="new")
    same = decide(new, OLD, POPULAR)
    assert not same.promote
    assert same.reasons[-1] == "kept: not clearly better than old on any protocol"
    assert decide(new, OLD, POPULAR, knows_more=True).promote


def test_protocol_with_too_few_users_decides_nothing() -> None:
    new = result("new", 0.42, 0.01, users=(USERS, 19))
    decision = decide(new, OLD, POPULAR)
    assert decision.promote
    assert decision.reasons[1].endswith("decides nothing: fewer than 20 users")
    assert not decide(result("new", 0.42, 0.01, users=(USERS, 20)), OLD, POPULAR).promote


def test_split_by_time_decides_without_enough_users_in_both_protocols() -> None:
    def few(name: str, by_time: float) -> HoldOutResult:
        return result(name, 0.4, 0.1, by_time=by_time, users=(5, 3))

    popular, old = few("popularity", 0.08), few("old", 0.12)
    decision = decide(few("new", 0.15), old, popular)
    assert decision.promote
    assert any("the split by time decides" in line for line in decision.reasons)
    assert decision.reasons[-1] == "promoted: better than old on split by time, and worse on none"
    assert not decide(few("new", 0.10), old, popular).promote
    assert not decide(few("new", 0.07), None, popular).promote


def test_result_of_an_earlier_version_is_compared_by_time() -> None:
    earlier = HoldOutResult("old", users=OLD.users, ndcg=spread(0.2, 0))
    decision = decide(result("new", 0.5, 0.2), earlier, POPULAR)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than old on split by time"


def test_users_are_paired_by_id() -> None:
    order = np.random.default_rng(3).permutation(USERS)
    new = replace(
        OLD,
        name="new",
        visitor_users=OLD.visitor_users[order],
        visitor_ndcg=OLD.visitor_ndcg[order] + 0.01,
    )
    line = decide(new, OLD, POPULAR).reasons[2]
    # Paired, every user gains exactly 0.01, so the interval has no width.
    assert "+0.0100 (95 % +0.0100 to +0.0100; 40 users)" in line


def test_no_common_users_prevents_promotion() -> None:
    others = HoldOutResult("old", users=np.array([9_999]), ndcg=np.array([0.1]))
    for new, champion in ((HoldOutResult("new"), None), (result("new", 0.5, 0.2), others)):
        decision = decide(new, champion, POPULAR, knows_more=True)
        assert not decision.promote
        assert "no user to compare" in decision.reasons[-1]


def test_champion_without_measured_lists_can_be_replaced() -> None:
    stars_only = HoldOutResult("stars")
    decision = decide(result("new", 0.41, 0.12), stars_only, POPULAR)
    assert decision.promote
    assert "stars has no measured lists; comparison skipped" in decision.reasons
    assert not decide(result("new", 0.30, 0.07), stars_only, POPULAR).promote
