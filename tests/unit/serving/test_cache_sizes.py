from __future__ import annotations

import pytest

from moovier.serving import cache_sizes


@pytest.mark.parametrize(
    ("entry_bytes", "expected"), [(0, 256), (4 * 9_742, 256), (2**18, 40), (2**30, 8)]
)
def test_large_entries_are_fewer(entry_bytes: int, expected: int) -> None:
    assert cache_sizes.entries(256, entry_bytes) == expected
