"""Measure the peak memory of processes that start during a block."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import psutil

_SAMPLE_S = 0.5
_GB = 1e9


class Peak:
    """The greatest sum of proportional set sizes (PSS) that was seen, in GB."""

    def __init__(self) -> None:
        self.gb = 0.0


@contextlib.contextmanager
def peak_memory(root: int, *, without: frozenset[int] = frozenset()) -> Iterator[Peak]:
    """Sample the memory of all descendants of process ``root``, and of ``root`` itself.

    PSS divides shared pages, such as memory-mapped files, among the processes that map them.
    ``without``: ids of processes that are left out.
    """
    peak, ended = Peak(), threading.Event()

    def sample() -> None:
        while not ended.wait(_SAMPLE_S):
            peak.gb = max(peak.gb, _total_pss(root, without) / _GB)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def descendants(root: int) -> frozenset[int]:
    """Return the ids of a process and of its descendants."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(root)
        return frozenset([root, *(child.pid for child in process.children(recursive=True))])
    return frozenset()


def _total_pss(root: int, without: frozenset[int]) -> int:
    total = 0
    for pid in descendants(root) - without:
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(pid).memory_full_info().pss
    return total
