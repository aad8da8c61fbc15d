"""Turn drift statistics into alarms, and decide whether an alarm starts a retraining."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from moovier.data.ratings import LIKED_STARS
from moovier.monitoring.drift import Drift, DriftStatistic
from moovier.monitoring.feedback_quality import LiveQuality

#: A reason counts as worse when its excess has grown by this factor since the last trigger.
WORSE_FACTOR = 1.25
#: Number of data hashes that a trigger remembers.
_MAX_HASHES = 50
#: Text of a reason by drift statistic.
_TEXTS: Mapping[str, str] = {
    "stars": "new ratings are {value:.2f} stars away from the expected distribution",
    "rerated": "users changed their own ratings by {value:.2f} stars in one direction",
    "agreement": "new ratings lost {value:.0%} of the agreement with earlier ratings",
    "popularity": "new ratings go to movies of a different popularity (distance {value:.2f})",
    "crowd": "the share of users who rated the same movie is {value:.0%} above the expected share",
    "novel": "the share of movies without earlier ratings is {value:.0%} above the expected share",
    "genres": "new ratings go to different genres (distance {value:.2f})",
    "tastes": "users rate genres differently than before (by {value:.2f} stars)",
}


@dataclass(frozen=True)
class Reason:
    """A reason for an alarm.

    Attributes:
        kind: ``ratings``, ``users``, ``movies``, ``genres``, ``quality`` or ``age``.
        text: The reason as a sentence.
        excess: The measured value divided by its limit, above 1.
    """

    kind: str
    text: str
    excess: float


class Trigger(BaseModel):
    """The last retraining that monitoring triggered.

    Attributes:
        at: Time of the trigger in seconds since 1970.
        champion: Version number of the champion at that time.
        excess: Excess of the worst reason of each kind.
        hashes: Hashes of the data sets that triggered a retraining, newest last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float
    champion: int
    excess: dict[str, float]
    hashes: list[str]


def drift_reasons(added: Drift, removed: Drift) -> list[Reason]:
    """Return one reason for each statistic that drifted."""
    reasons = [_drift_reason(statistic) for statistic in added.drifted]
    return reasons + [_drift_reason(statistic, deleted=True) for statistic in removed.drifted]


def _drift_reason(statistic: DriftStatistic, *, deleted: bool = False) -> Reason:
    text = _TEXTS[statistic.name].format(value=statistic.value)
    if deleted:
        text = "deleted ratings: " + text.replace("new ratings", "they")
    text = (
        f"{statistic.kind}: {text}; limit {statistic.limit:.2f}, by chance up to "
        f"{statistic.chance:.2f}"
    )
    return Reason(statistic.kind, text, statistic.value / statistic.limit)


def quality_reasons(live: LiveQuality | None, limit: float) -> list[Reason]:
    """Return a reason if users like recommended movies less than others by more than ``limit``.

    The upper end of the gain's confidence interval must lie below ``-limit``.
    """
    if live is None or not live.enough or not live.high < -limit:
        return []
    text = (
        f"quality: {live.recommended.liked:.0%} of the rated recommendations got {LIKED_STARS} "
        f"or more stars, {-live.gain:.0%} less than other ratings (at least {-live.high:.0%})"
    )
    return [Reason("quality", text, -live.gain / limit if limit > 0 else 1.0)]


def age_reasons(days: float, limit: float, *, data_changed: bool) -> list[Reason]:
    """Return a reason if the last retraining is older than ``limit`` days and the data changed."""
    if days <= limit or not data_changed:
        return []
    text = f"age: {days:.0f} days since the last retraining, and the data have changed since"
    return [Reason("age", text, days / limit)]


def excess(reasons: Sequence[Reason]) -> dict[str, float]:
    """Return the largest excess of each kind of reason."""
    worst: dict[str, float] = {}
    for reason in reasons:
        worst[reason.kind] = max(worst.get(reason.kind, 0.0), reason.excess)
    return worst


def should_retrain(
    reasons: Sequence[Reason], last: Trigger | None, *, data_hash: str, champion: int
) -> tuple[bool, str]:
    """Decide whether the reasons trigger a retraining, and explain the decision.

    A data set triggers at most one retraining. As long as the champion is the one of the last
    trigger, that retraining did not help: a new trigger then needs a new kind of reason, or one
    whose excess grew by :data:`WORSE_FACTOR`.
    """
    if not reasons:
        return False, "no drift"
    if last is None:
        return True, "first alarm"
    if data_hash in last.hashes:
        return False, "these data already triggered a retraining"
    if last.champion != champion:
        return True, "first alarm of this champion"
    current = excess(reasons)
    worse = [
        kind
        for kind, value in current.items()
        if value >= WORSE_FACTOR * last.excess.get(kind, 0.0)
    ]
    if worse:
        return True, f"worse than at the last alarm: {', '.join(worse)}"
    return False, "the last retraining did not help, and no reason has become worse since"


def record(
    worst: Mapping[str, float], last: Trigger | None, *, at: float, data_hash: str, champion: int
) -> Trigger:
    """Return the trigger to store for a retraining that starts now.

    ``worst`` is the result of :func:`excess`; ``last`` is the trigger stored before.
    """
    hashes = [] if last is None else [known for known in last.hashes if known != data_hash]
    return Trigger(
        at=at,
        champion=champion,
        excess=dict(worst),
        hashes=[*hashes, data_hash][-_MAX_HASHES:],
    )
