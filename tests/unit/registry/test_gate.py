from __future__ import annotations

from dataclasses import replace

import numpy as np

from moovier.registry.gate import Contender, decide


def contender(name: str, mean: float, users: int = 40, seed: int = 0) -> Contender:
    """Per-user figures that differ, and have exactly this mean."""
    spread = np.random.default_rng(seed).uniform(-0.05, 0.05, users)
    values = mean + spread - spread.mean()
    return Contender(name, np.arange(1, users + 1), values)


POPULAR = contender("popularity", 0.087)


def test_the_first_champion_must_beat_popularity() -> None:
    assert decide(contender("good", 0.12), None, POPULAR).promote
    worse = decide(contender("original", 0.048), None, POPULAR)
    assert not worse.promote
    assert worse.reasons[-1] == "kept: no better than what is popular among known users"


def test_never_below_popularity_even_when_the_champion_is_worse() -> None:
    decision = decide(contender("new", 0.06), contender("old", 0.05), POPULAR)
    assert not decision.promote
    assert "of old: +0.0100" in decision.reasons[1]


def test_the_better_one_wins_and_the_reasons_carry_the_figures() -> None:
    decision = decide(contender("new", 0.15), contender("old", 0.12), POPULAR)
    assert decision.promote
    line = decision.reasons[1]
    assert "0.1500 against 0.1200 of old: +0.0300" in line
    assert "40 users" in line
    assert decision.reasons[-1] == "promoted: better than old among known users"


def test_a_loser_is_kept_out() -> None:
    decision = decide(contender("new", 0.12), contender("old", 0.15), POPULAR)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than old among known users"


def test_a_draw_goes_to_the_newer_data_only() -> None:
    old, new = contender("old", 0.12), contender("new", 0.12)
    assert not decide(new, old, POPULAR).promote
    assert decide(new, old, POPULAR, knows_more=True).promote


def test_an_unclear_difference_is_called_so() -> None:
    left, right = contender("new", 0.121, seed=1), contender("old", 0.12, seed=2)
    assert "not clear-cut" in decide(left, right, POPULAR).reasons[1]


def with_new_people(known: Contender, mean: float) -> Contender:
    new = contender(known.name, mean, users=30, seed=4)
    return replace(known, new_users=100 + new.users, new_ndcg=new.ndcg)


def test_losing_among_new_people_is_losing() -> None:
    popular = with_new_people(POPULAR, 0.08)
    old = with_new_people(contender("old", 0.12), 0.15)
    new = with_new_people(contender("new", 0.15), 0.10)
    decision = decide(new, old, popular, knows_more=True)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: worse than old among new people"
    assert [line.split(":")[0] for line in decision.reasons[:4]] == [
        "known users",
        "new people",
        "known users",
        "new people",
    ]
    assert decide(with_new_people(new, 0.15), old, popular).promote


def test_popularity_must_be_beaten_among_new_people_too() -> None:
    popular = with_new_people(POPULAR, 0.08)
    decision = decide(with_new_people(contender("new", 0.15), 0.07), None, popular)
    assert not decision.promote
    assert decision.reasons[-1] == "kept: no better than what is popular among new people"


def test_a_champion_without_new_people_is_compared_on_known_users() -> None:
    popular = with_new_people(POPULAR, 0.08)
    new = with_new_people(contender("new", 0.15), 0.10)
    decision = decide(new, contender("old", 0.12), popular)
    assert decision.promote
    assert sum("of old" in line for line in decision.reasons) == 1


def test_users_are_paired_by_id_not_by_position() -> None:
    old = contender("old", 0.12)
    shuffled = np.random.default_rng(3).permutation(40)
    new = Contender("new", old.users[shuffled], old.ndcg[shuffled] + 0.01)
    # Paired, every user gains exactly 0.01, so the interval has no width.
    assert "+0.0100 (95 % +0.0100 to +0.0100;" in decide(new, old, POPULAR).reasons[1]


def test_without_users_in_common_nothing_is_promoted() -> None:
    alone = Contender("alone", np.array([900]), np.array([1.0]))
    decision = decide(alone, contender("old", 0.1), POPULAR)
    assert not decision.promote
    assert "no user in common" in decision.reasons[0]


def test_an_empty_hold_out_promotes_nothing() -> None:
    nobody = Contender("x", np.array([], dtype=np.int64), np.array([], dtype=np.float64))
    assert not decide(nobody, None, nobody).promote
