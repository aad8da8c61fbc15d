"""Different run ids give different keys, on every disk."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moovier.jobs.run_key import run_key

IDS = ["week.47", "week:47", "week 47", "week-47", "week_47", "Week-47", "WEEK-47", "week-47-"]
LONG = [f"{'x' * 100}{end}" for end in ("", "a", "b", "." * 200)]


@pytest.mark.parametrize(
    ("first", "second"), list(itertools.combinations([*IDS, *LONG, "é", "è", ".", "..", "/"], 2))
)
def test_different_ids_have_different_folders(first: str, second: str) -> None:
    assert run_key(first).lower() != run_key(second).lower()


@given(st.text(min_size=1), st.text(min_size=1))
@example("week:47", run_key("week:47"))
@example("\ud800", "?")
def test_any_two_ids_have_different_keys(first: str, second: str) -> None:
    assert (run_key(first).lower() == run_key(second).lower()) == (first == second)


@given(st.text(min_size=1))
def test_key_is_a_short_file_name(run_id: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,100}", run_key(run_id))
    assert run_key(run_id) == run_key(run_id)


def test_key_is_readable() -> None:
    assert run_key("monitoring-0123456789abcdef0123456789abcdef").startswith("monitoring-01234567")
    assert run_key("week-47") == "week-47"
    key = run_key("scheduled__2026-11-22T03:00:00+00:00")
    assert re.fullmatch(r"scheduled__2026-11-22T03-00-00-00-00-[0-9a-f]{12}", key)
