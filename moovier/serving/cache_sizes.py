"""Sizes of caches whose entries grow with the catalogue."""

from __future__ import annotations

#: Bytes of one such cache, in every process; those of ml-latest-small stay below it.
MOST_BYTES = 10 * 2**20
_FEWEST = 8


def entries(most: int, entry_bytes: int) -> int:
    """Return how many entries to keep: ``most``, or as many as fit into ``MOST_BYTES``."""
    return min(most, max(MOST_BYTES // max(entry_bytes, 1), _FEWEST))
