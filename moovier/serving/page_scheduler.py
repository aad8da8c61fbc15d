"""Schedules computations: single pages on the event loop, lists of many users in a thread.

A page takes a millisecond or two, in hundreds of NumPy calls too short to run in parallel. In a
thread, each call hands the interpreter lock to the event loop and waits for it, and a page costs
three times the processor time. So pages run on the event loop, one at a time, and the loop serves
everything else between two pages. A larger catalogue makes pages and NumPy calls longer; then a
thread is the better place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
#: Seconds up to which a page may block the event loop.
MAX_BLOCKING_S = 0.005
#: Weight of the newest sample in the moving average of page times.
_NEWEST_WEIGHT = 0.1
_page_threads = ThreadPoolExecutor(1, thread_name_prefix="pages")
_batch_threads = ThreadPoolExecutor(1, thread_name_prefix="batches")


class _MovingAverage:
    """The moving average of the seconds that a page takes."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def measure(self, work: Callable[..., T], *arguments: object) -> T:
        started = time.thread_time()
        try:
            return work(*arguments)
        finally:
            elapsed = time.thread_time() - started
            self.seconds += _NEWEST_WEIGHT * (elapsed - self.seconds)


class PageScheduler:
    """Runs the page computations of one event loop, first come, first served."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._page_time = _MovingAverage()
        #: Number of pages that were requested and are not computed yet.
        self.waiting = 0

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Return ``work(*arguments)``, which computes one page; raises what it raises."""
        self.waiting += 1
        try:
            async with self._turn:
                if self._page_time.seconds < MAX_BLOCKING_S:
                    try:
                        return self._page_time.measure(work, *arguments)
                    finally:
                        # Lets the event loop serve other requests before the next page.
                        await asyncio.sleep(0)
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(
                    _page_threads, self._page_time.measure, work, *arguments
                )
        finally:
            self.waiting -= 1


async def run_in_batch_thread(work: Callable[..., T], *arguments: object) -> T:
    """Return ``work(*arguments)``, which may take seconds, from a thread of its own."""
    return await asyncio.get_running_loop().run_in_executor(_batch_threads, work, *arguments)
