"""Timestamps outside of 1970 to 2106 are refused, with the unit that they seem to have."""

from __future__ import annotations

import pytest

from moovier.timestamps import TIMESTAMP_END, timestamp_problem


@pytest.mark.parametrize("timestamp", [0, 1_700_000_000, TIMESTAMP_END - 1])
def test_seconds_of_1970_to_2106_are_valid(timestamp: int) -> None:
    assert timestamp_problem(timestamp) is None


@pytest.mark.parametrize(
    ("timestamp", "problem"),
    [
        (-1, "is before 1970"),
        (TIMESTAMP_END, "after the year 2106"),
        (1_700_000_000 * 10**3, "looks like milliseconds: divide by 1,000"),
        (1_700_000_000 * 10**6, "looks like microseconds: divide by 1,000,000"),
        (1_700_000_000 * 10**9, "looks like nanoseconds: divide by 1,000,000,000"),
    ],
)
def test_other_units_are_named_with_their_divisor(timestamp: int, problem: str) -> None:
    assert (timestamp_problem(timestamp) or "").endswith(problem)
