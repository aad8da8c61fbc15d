from __future__ import annotations

import pytest

from moovier.event_weights import (
    DEFAULT_WEIGHTS,
    EVENT_KINDS,
    parse_event_weights,
    stars_of_weight,
)


def test_default_weights_order_the_kinds() -> None:
    weights = parse_event_weights(DEFAULT_WEIGHTS)
    assert set(weights) == set(EVENT_KINDS)
    assert weights["finished"] > weights["clicked"] > 0 > weights["skipped"]
    assert weights["skipped"] > weights["not_for_me"]
    assert weights["shown"] == weights["seen"] == 0


@pytest.mark.parametrize(
    ("weight", "stars"),
    [(1, 5), (0.6, 4.5), (0.2, 4), (0.01, 3.5), (-0.4, 1.5), (-0.8, 0.5), (-1, 0.5)],
)
def test_weight_counts_as_stars(weight: float, stars: float) -> None:
    assert stars_of_weight(weight) == stars


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("watched=1", "unknown event 'watched'"),
        ("seen=2", "from -1 to 1, not '2'"),
        ("seen", "from -1 to 1, not ''"),
        ("seen=nan", "from -1 to 1"),
        ("seen=0.1,seen=0.2", "two weights"),
    ],
)
def test_invalid_weights_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_event_weights(text)
