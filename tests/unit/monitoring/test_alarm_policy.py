from __future__ import annotations

from dataclasses import replace

from moovier.monitoring import alarm_policy
from moovier.monitoring.alarm_policy import Reason, Trigger, excess, record, should_retrain
from moovier.monitoring.drift import Drift, DriftStatistic
from moovier.monitoring.feedback_quality import Live, Quality

STARS = DriftStatistic("stars", 0.5, 0.25, 0.2, 0.002, drifted=True)
CALM = DriftStatistic("genres", 0.1, 0.25, 0.2, 0.9, drifted=False)
LOWER = Reason("ratings", "ratings: lower", 2.0)
LAST = Trigger(at=1, champion=7, excess={"ratings": 2.0}, hashes=["old", "a"])


def test_only_what_drifted_is_a_reason() -> None:
    (reason,) = alarm_policy.of_drift(Drift(9, 99, (STARS, CALM)), Drift(0, 0))
    assert (reason.kind, reason.excess) == ("ratings", 2.0)
    assert "0.50 stars" in reason.text
    (reason,) = alarm_policy.of_drift(Drift(0, 0), Drift(9, 99, (STARS,)))
    assert "deleted" in reason.text


def test_recommendations_must_be_worse_beyond_chance() -> None:
    quality = Quality(100, 50, 2.0, 0.3, 0.2, 0.4)
    worse = Live(quality, quality, gain=-0.3, low=-0.4, high=-0.2)
    (reason,) = alarm_policy.of_live(worse, 0.1)
    assert reason.kind == "quality"
    assert alarm_policy.of_live(replace(worse, high=-0.05), 0.1) == []
    few = replace(worse, recommended=replace(quality, ratings=10))
    assert alarm_policy.of_live(few, 0.1) == []
    assert alarm_policy.of_live(None, 0.1) == []


def test_age_counts_only_where_there_is_something_to_learn() -> None:
    assert alarm_policy.of_age(20, 14, other_data=False) == []
    assert alarm_policy.of_age(13, 14, other_data=True) == []
    assert [one.kind for one in alarm_policy.of_age(20, 14, other_data=True)] == ["age"]


def test_the_first_alarm_asks_and_no_alarm_does_not() -> None:
    assert should_retrain([LOWER], None, data_hash="a", champion=7)[0]
    assert not should_retrain([], None, data_hash="a", champion=7)[0]


def test_never_twice_for_the_same_data() -> None:
    much_worse = replace(LOWER, excess=9.0)
    for data_hash in ("a", "old"):
        assert not should_retrain([much_worse], LAST, data_hash=data_hash, champion=7)[0]
        assert not should_retrain([much_worse], LAST, data_hash=data_hash, champion=8)[0]


def test_not_again_while_a_retraining_changed_nothing_unless_it_gets_worse() -> None:
    asked, why = should_retrain([replace(LOWER, excess=2.4)], LAST, data_hash="b", champion=7)
    assert not asked
    assert "did not help" in why
    assert should_retrain([replace(LOWER, excess=2.5)], LAST, data_hash="b", champion=7)[0]
    other_kind = Reason("genres", "genres: others", 1.1)
    asked, why = should_retrain([LOWER, other_kind], LAST, data_hash="b", champion=7)
    assert asked
    assert "genres" in why
    # A new champion starts anew.
    assert should_retrain([LOWER], LAST, data_hash="b", champion=8)[0]


def test_what_is_remembered_is_the_worst_of_each_kind_and_all_data() -> None:
    worst = excess([LOWER, replace(LOWER, excess=3.0), Reason("age", "age: old", 1.5)])
    assert worst == {"ratings": 3.0, "age": 1.5}
    found = record(worst, LAST, at=5, data_hash="b", champion=7)
    assert found.hashes == ["old", "a", "b"]
    assert found.excess == worst
    assert not should_retrain([LOWER], found, data_hash="b", champion=7)[0]
