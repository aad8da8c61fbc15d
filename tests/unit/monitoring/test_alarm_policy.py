from __future__ import annotations

from dataclasses import replace

from moovier.monitoring import alarm_policy
from moovier.monitoring.alarm_policy import Reason, Trigger, excess, record, should_retrain
from moovier.monitoring.drift import Drift, DriftStatistic
from moovier.monitoring.feedback_quality import LiveQuality, Quality

STARS = DriftStatistic("stars", 0.5, 0.25, 0.2, 0.002, drifted=True)
CALM = DriftStatistic("genres", 0.1, 0.25, 0.2, 0.9, drifted=False)
LOWER = Reason("ratings", "ratings: lower", 2.0)
LAST = Trigger(at=1, champion=7, excess={"ratings": 2.0}, hashes=["old", "a"])


def test_only_drifted_statistics_are_reasons() -> None:
    (reason,) = alarm_policy.drift_reasons(Drift(9, 99, (STARS, CALM)), Drift(0, 0))
    assert (reason.kind, reason.excess) == ("ratings", 2.0)
    assert "0.50 stars" in reason.text
    (reason,) = alarm_policy.drift_reasons(Drift(0, 0), Drift(9, 99, (STARS,)))
    assert "deleted" in reason.text


def test_quality_alarm_needs_a_significant_loss() -> None:
    quality = Quality(100, 50, 2.0, 0.3, 0.2, 0.4)
    worse = LiveQuality(quality, quality, gain=-0.3, low=-0.4, high=-0.2)
    (reason,) = alarm_policy.quality_reasons(worse, 0.1)
    assert reason.kind == "quality"
    assert alarm_policy.quality_reasons(replace(worse, high=-0.05), 0.1) == []
    few = replace(worse, recommended=replace(quality, ratings=10))
    assert alarm_policy.quality_reasons(few, 0.1) == []
    assert alarm_policy.quality_reasons(None, 0.1) == []


def test_age_alarm_needs_changed_data() -> None:
    assert alarm_policy.age_reasons(20, 14, data_changed=False) == []
    assert alarm_policy.age_reasons(13, 14, data_changed=True) == []
    assert [reason.kind for reason in alarm_policy.age_reasons(20, 14, data_changed=True)] == [
        "age"
    ]


def test_first_alarm_triggers_and_no_alarm_does_not() -> None:
    assert should_retrain([LOWER], None, data_hash="a", champion=7)[0]
    assert not should_retrain([], None, data_hash="a", champion=7)[0]


def test_same_data_trigger_only_once() -> None:
    much_worse = replace(LOWER, excess=9.0)
    for data_hash in ("a", "old"):
        assert not should_retrain([much_worse], LAST, data_hash=data_hash, champion=7)[0]
        assert not should_retrain([much_worse], LAST, data_hash=data_hash, champion=8)[0]


def test_same_champion_triggers_again_only_if_a_reason_becomes_worse() -> None:
    triggered, why = should_retrain([replace(LOWER, excess=2.4)], LAST, data_hash="b", champion=7)
    assert not triggered
    assert "did not help" in why
    assert should_retrain([replace(LOWER, excess=2.5)], LAST, data_hash="b", champion=7)[0]
    other_kind = Reason("genres", "genres: others", 1.1)
    triggered, why = should_retrain([LOWER, other_kind], LAST, data_hash="b", champion=7)
    assert triggered
    assert "genres" in why
    # The limit of the last champion does not apply to a new one.
    assert should_retrain([LOWER], LAST, data_hash="b", champion=8)[0]


def test_trigger_stores_the_worst_of_each_kind_and_all_data_hashes() -> None:
    worst = excess([LOWER, replace(LOWER, excess=3.0), Reason("age", "age: old", 1.5)])
    assert worst == {"ratings": 3.0, "age": 1.5}
    trigger = record(worst, LAST, at=5, data_hash="b", champion=7)
    assert trigger.hashes == ["old", "a", "b"]
    assert trigger.excess == worst
    assert not should_retrain([LOWER], trigger, data_hash="b", champion=7)[0]
