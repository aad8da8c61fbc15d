from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from moovier.evaluation.visitor import KS
from moovier.registry.gate import HoldOutResult, decide

PEOPLE = 40


def spread(mean: float, seed: int, n: int = PEOPLE) -> NDArray[np.float64]:
    """Per-person figures that differ and have exactly this mean."""
    values = np.random.default_rng(seed).uniform(-0.05, 0.05, n)
    centred: NDArray[np.float64] = mean + values - values.mean()
    return centred


def result(
    name: str,
    visitor: float | tuple[float, ...],
    next_visit: float,
    *,
    by_time: float = 0.1,
    people: tuple[int, int] = (PEOPLE, PEOPLE),
    seed: int = 0,
) -> HoldOutResult:
    """``visitor``: the mean at every k, or one per k. ``people``: per protocol."""
    means = (visitor,) * len(KS) if isinstance(visitor, float) else visitor
    return HoldOutResult(
        name,
        users=np.arange(1, PEOPLE + 1),
        ndcg=spread(by_time, seed),
        visitor_users=np.arange(100, 100 + people[0]),
        visitor_ndcg=np.stack([spread(mean, seed, people[0]) for mean in means], axis=1),
        next_visit_users=np.arange(500, 500 + people[1]),
        next_visit_ndcg=spread(next_visit, seed, people[1]),
    )


POPULAR = result("popularity", 0.33, 0.08)
OLD = result("old", 0.40, 0.11)


def test_the_first_champion_beats_popularity_on_both_protocols() -> None:
    decision = decide(result("new", 0.41, 0.12), None, POPULAR)
    assert decision.promote
    assert decision.reasons == [
        "visitor: NDCG@10 0.4100 against 0.3300 of popularity: +0.0800 "
        "(95 % +0.0800 to +0.0800; 40 people)",
        "next visit: NDCG@10 0.1200 against 0.0800 of popularity: +0.0400 "
        "(95 % +0.0400 to +0.0400; 40 people)",
        "promoted: better than popularity; no champion to compare with",
    ]


@pytest.mark.parametrize(
    ("visitor", "next_visit", "protocol"),
    [(0.30, 0.12, "visitor"), (0.41, 0.07, "next visit"), (0.33, 0.12, "visitor")],
)
def test_popularity_is_never_given_up_on_one_protocol(
    visitor: float, next_visit: float, protocol: str
) -> None:
    """A draw is no win either, however bad the champion is."""
    worse = result("old", 0.2, 0.05)
    for champion in (None, worse):
        decision = decide(result("new", visitor, next_visit), champion, POPULAR, knows_more=True)
        assert not decision.promote
        assert decision.reasons[-1] == f"kept: not clearly better than popularity on {protocol}"


def test_an_unclear_win_over_popularity_is_no_win() -> None:
    unclear = result("new", 0.331, 0.12, seed=7)
    decision = decide(unclear, None, POPULAR)
    assert not decision.promote
    assert "not clear-cut" in decision.reasons[0]


def test_worse_than_popularity_for_visitors_with_one_rating_is_kept_back() -> None:
    new = result("new", (0.30, 0.42, 0.45, 0.47, 0.49), 0.15)
    decision = decide(new, None, POPULAR)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than popularity for visitors with k = 1 ratings"
    assert "worse at k = 1: -0.0300 (95 % -0.0300 to -0.0300)" in decision.reasons[0]


def test_too_few_people_at_one_k_decide_nothing_there() -> None:
    new = result("new", (0.42, 0.42, 0.45, 0.47, 0.20), 0.15)
    few = new.visitor_ndcg.copy()
    few[19:, -1] = np.nan
    assert not decide(new, None, POPULAR).promote
    assert decide(replace(new, visitor_ndcg=few), None, POPULAR).promote


def test_the_better_one_on_either_protocol_wins() -> None:
    for new in (result("new", 0.42, 0.11), result("new", 0.40, 0.13)):
        decision = decide(new, OLD, POPULAR)
        assert decision.promote
        assert "promoted: better than old on " in decision.reasons[-1]
        assert sum("of old" in line for line in decision.reasons) == 2


@pytest.mark.parametrize(
    ("visitor", "next_visit", "protocol"),
    [(0.39, 0.2, "visitor"), (0.5, 0.10, "next visit")],
)
def test_losing_to_the_champion_on_one_protocol_is_losing(
    visitor: float, next_visit: float, protocol: str
) -> None:
    for knows_more in (False, True):
        new = result("new", visitor, next_visit)
        decision = decide(new, OLD, POPULAR, knows_more=knows_more)
        assert not decision.promote
        assert decision.reasons[-1] == f"kept: worse than old on {protocol}"


def test_a_draw_goes_to_the_newer_data_only() -> None:
    new = replace(OLD, name="new")
    same = decide(new, OLD, POPULAR)
    assert not same.promote
    assert same.reasons[-1] == "kept: not clearly better than old on any protocol"
    assert decide(new, OLD, POPULAR, knows_more=True).promote


def test_a_protocol_with_few_people_decides_nothing() -> None:
    new = result("new", 0.42, 0.01, people=(PEOPLE, 19))
    decision = decide(new, OLD, POPULAR)
    assert decision.promote
    assert decision.reasons[1].endswith("decides nothing: fewer than 20 people")
    assert not decide(result("new", 0.42, 0.01, people=(PEOPLE, 20)), OLD, POPULAR).promote


def test_the_split_by_time_decides_where_no_protocol_has_enough_people() -> None:
    def few(name: str, by_time: float) -> HoldOutResult:
        return result(name, 0.4, 0.1, by_time=by_time, people=(5, 3))

    popular, old = few("popularity", 0.08), few("old", 0.12)
    decision = decide(few("new", 0.15), old, popular)
    assert decision.promote
    assert any("the split by time decides" in line for line in decision.reasons)
    assert decision.reasons[-1] == "promoted: better than old on split by time, and worse on none"
    assert not decide(few("new", 0.10), old, popular).promote
    assert not decide(few("new", 0.07), None, popular).promote


def test_a_result_of_an_earlier_version_is_compared_by_time() -> None:
    earlier = HoldOutResult("old", users=OLD.users, ndcg=spread(0.2, 0))
    decision = decide(result("new", 0.5, 0.2), earlier, POPULAR)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than old on split by time"


def test_people_are_paired_by_id_not_by_position() -> None:
    order = np.random.default_rng(3).permutation(PEOPLE)
    new = replace(
        OLD,
        name="new",
        visitor_users=OLD.visitor_users[order],
        visitor_ndcg=OLD.visitor_ndcg[order] + 0.01,
    )
    line = decide(new, OLD, POPULAR).reasons[2]
    # Paired, every person gains exactly 0.01, so the interval has no width.
    assert "+0.0100 (95 % +0.0100 to +0.0100; 40 people)" in line


def test_without_people_in_common_nothing_is_promoted() -> None:
    for nobody in (None, HoldOutResult("old")):
        new = HoldOutResult("new") if nobody is None else result("new", 0.5, 0.2)
        decision = decide(new, nobody, POPULAR, knows_more=True)
        assert not decision.promote
        assert "no person to compare" in decision.reasons[-1]
