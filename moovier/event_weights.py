"""The kinds of events besides ratings, and the weight of each kind.

A weight runs from -1 (disliked) to 1 (liked); 0 says nothing. Models take ratings, so a positive
weight w counts as a rating of 3.5 + 1.5 w stars, and a negative one as 2.5 (1 + w) stars, rounded
to half a star and at least 0.5.
docs/decisions/events-as-ratings.md has the reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

EventKind = Literal[
    "viewed", "clicked", "finished", "skipped", "bookmarked", "not_for_me", "shown", "seen"
]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
#: Events after which the movie is left out of the user's lists.
HIDING: frozenset[str] = frozenset({"finished", "seen", "not_for_me"})
DEFAULT_WEIGHTS = "finished=0.6,bookmarked=0.6,clicked=0.2,viewed=0.2,skipped=-0.4,not_for_me=-0.8"


def parse_event_weights(text: str) -> Mapping[str, float]:
    """Return the weight of each kind of event, 0 for kinds that ``text`` does not name.

    ``text``: ``kind=weight`` pairs, separated by commas.

    Raises:
        ValueError: a kind is unknown or given twice, or a weight is not a number from -1 to 1.
    """
    weights: dict[str, float] = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        kind, _, value = (part.strip() for part in pair.partition("="))
        if kind not in EVENT_KINDS:
            raise ValueError(f"unknown event {kind!r}; choose from {', '.join(EVENT_KINDS)}")
        if kind in weights:
            raise ValueError(f"event {kind!r} has two weights; give one")
        try:
            weight = float(value)
        except ValueError:
            weight = float("nan")
        if not -1 <= weight <= 1:
            raise ValueError(f"the weight of {kind!r} must be from -1 to 1, not {value!r}")
        weights[kind] = weight
    return {kind: weights.get(kind, 0.0) for kind in EVENT_KINDS}


def format_event_weights(weights: Mapping[str, float]) -> str:
    """Return the text of ``weights`` that :func:`parse_event_weights` reads, without zeros."""
    return ",".join(f"{kind}={weight:g}" for kind, weight in weights.items() if weight)


def valid_event_weights(text: str) -> str:
    """Return ``text`` if :func:`parse_event_weights` reads it.

    Raises:
        ValueError: it does not.
    """
    parse_event_weights(text)
    return text


def stars_of_weight(weight: float) -> float:
    """Return the stars that an event of this weight counts as, 0.5 to 5 in steps of 0.5."""
    stars = 3.5 + 1.5 * weight if weight > 0 else 2.5 * (1 + weight)
    return max(round(2 * stars) / 2, 0.5)
