"""From figures to an alarm, and from an alarm to whether a retraining is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from moovier.monitoring.drift import Drift, DriftStatistic
from moovier.monitoring.feedback_quality import LIKED, Live

#: What has grown by less has not got worse.
WORSE = 1.25
_SAYS: Mapping[str, str] = {
    "stars": "new ratings are {value:.2f} stars away from what was expected",
    "rerated": "people changed their own ratings by {value:.2f} stars, all the same way",
    "agreement": "new ratings have lost {value:.0%} of the agreement with earlier ones",
    "popularity": "new ratings go to movies of another popularity (distance {value:.2f})",
    "crowd": "{value:.0%} more of the people than expected rated one and the same movie",
    "novel": "{value:.0%} more of the new ratings than expected are of movies nobody rated before",
    "genres": "new ratings go to other genres (distance {value:.2f})",
    "tastes": "genres are liked otherwise than before (by {value:.2f} stars)",
}


@dataclass(frozen=True)
class Reason:
    """``kind``: ``ratings``, ``users``, ``movies``, ``genres``, ``quality`` or ``age``. ``excess``:
    the figure over its limit, above 1."""

    kind: str
    text: str
    excess: float


class Trigger(BaseModel):
    """The last retraining that was asked for. ``excess``: of the worst figure of each kind.
    ``hashes``: data that retrainings were asked for, newest last."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: float
    champion: int
    excess: dict[str, float]
    hashes: list[str]


def of_drift(came: Drift, went: Drift) -> list[Reason]:
    """One for each figure that drifted."""
    reasons = [_of_figure(figure, "") for figure in came.drifted]
    return reasons + [_of_figure(figure, "deleted ratings: ") for figure in went.drifted]


def _of_figure(figure: DriftStatistic, before: str) -> Reason:
    said = _SAYS[figure.name].format(value=figure.value)
    if before:
        said = said.replace("new ratings", "they")
    text = (
        f"{figure.kind}: {before}{said}; limit {figure.limit:.2f}, by chance up to "
        f"{figure.chance:.2f}"
    )
    return Reason(figure.kind, text, figure.value / figure.limit)


def of_live(live: Live | None, limit: float) -> list[Reason]:
    """Recommended movies are liked less than others by more than ``limit``, beyond chance."""
    if live is None or not live.enough or not live.high < -limit:
        return []
    text = (
        f"quality: {live.recommended.liked:.0%} of the rated recommendations got {LIKED} stars or "
        f"more, {-live.gain:.0%} less than other ratings (at least {-live.high:.0%})"
    )
    return [Reason("quality", text, -live.gain / limit if limit > 0 else 1.0)]


def of_age(days: float, limit: float, *, other_data: bool) -> list[Reason]:
    """The last retraining is too long ago, and there are data that the champion does not know."""
    if days <= limit or not other_data:
        return []
    text = f"age: {days:.0f} days since the last retraining, and the data have changed since"
    return [Reason("age", text, days / limit)]


def excess(reasons: Sequence[Reason]) -> dict[str, float]:
    """By kind, how far the worst figure is past its limit."""
    worst: dict[str, float] = {}
    for reason in reasons:
        worst[reason.kind] = max(worst.get(reason.kind, 0.0), reason.excess)
    return worst


def should_retrain(
    reasons: Sequence[Reason], last: Trigger | None, *, data_hash: str, champion: int
) -> tuple[bool, str]:
    """Whether these reasons ask for a retraining, and what to say of it.

    Not for data that one was asked for already. While the champion is the same as at the last
    time, that retraining did not help, and another one is asked for only where a figure got worse:
    a new kind of reason, or one whose excess grew by a quarter.
    """
    if not reasons:
        return False, "nothing has drifted"
    if last is None:
        return True, "first alarm"
    if data_hash in last.hashes:
        return False, "a retraining on these data was asked for already"
    if last.champion != champion:
        return True, "first alarm of this champion"
    now = excess(reasons)
    worse = [kind for kind, value in now.items() if value >= WORSE * last.excess.get(kind, 0.0)]
    if worse:
        return True, f"worse than at the last alarm: {', '.join(worse)}"
    return False, "the last retraining did not help, and nothing has got worse since"


def record(
    worst: Mapping[str, float], last: Trigger | None, *, at: float, data_hash: str, champion: int
) -> Trigger:
    """What to remember of a retraining that is asked for now. ``worst``: see :func:`excess`."""
    hashes = [] if last is None else [one for one in last.hashes if one != data_hash]
    return Trigger(at=at, champion=champion, excess=dict(worst), hashes=[*hashes, data_hash][-50:])
