"""Long arrays in blocks, so that no pass over a mapped file needs its size in memory.

A pass over a mapped array makes all of it resident, and a cast of it would double that. This module
imports only NumPy.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Numbers of a block: with their casts some 20 MB.
BLOCK = 2**20


def blocks(size: int) -> Iterator[slice]:
    """Yield slices of at most ``BLOCK`` entries that cover ``size`` entries."""
    for start in range(0, size, BLOCK):
        yield slice(start, min(start + BLOCK, size))


def release(*arrays: NDArray[Any]) -> None:
    """Take the pages of read-only mapped arrays out of this process's memory.

    The arrays stay valid: the next access maps the pages again, usually without the disk. Other
    arrays stay as they are.
    """
    for array in arrays:
        mapping = None if array.flags.writeable else _mapping(array)
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    """Return the mapped file whose memory an array views."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None


def count(rows: NDArray[Any], size: int) -> NDArray[np.int64]:
    """Return how often each row occurs, (size,); a mapped array is released afterwards.

    ``rows``: (n,) of 0..size-1.
    """
    counts = np.zeros(size, dtype=np.int64)
    for block in blocks(rows.size):
        counts += np.bincount(rows[block], minlength=size)
    release(rows)
    return counts


def add_up(rows: NDArray[Any], values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Return the sum of the values of each row, (size,); mapped arrays are released afterwards.

    ``rows``: (n,) of 0..size-1. ``values``: (n,).
    """
    sums = np.zeros(size)
    for block in blocks(rows.size):
        sums += np.bincount(rows[block], values[block], size)
    release(rows, values)
    return sums
