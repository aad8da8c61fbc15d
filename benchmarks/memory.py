"""Measure the memory and the processor time of other processes."""

from __future__ import annotations

import contextlib
import os
import resource
import threading
from collections.abc import Iterator

import psutil

_SAMPLE_S = 1.0
_GB = 1e9


class Peak:
    """The greatest sum of proportional set sizes (PSS) that was seen, in GB.

    ``loads``: the machine's load average of the last minute, at each sample.
    """

    def __init__(self) -> None:
        self.gb = 0.0
        self.loads: list[float] = []


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
            peak.loads.append(os.getloadavg()[0])

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def processor_s() -> float:
    """Return the processor seconds of all processes that this one started and saw end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
