"""Where answers are computed: pages of one person on the event loop, one at a time; lists of many
people in a thread of their own.

A page takes a millisecond or two, in hundreds of NumPy steps too short to share: in a thread each
of them gives the interpreter away to the event loop and waits for it to come back, and a page cost
three times the processor's time. Between two pages the loop looks after everything else. Where
pages take longer (a larger catalogue), steps are longer as well, and a thread is the better place.
What waits for a disk or another server has Starlette's many threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
#: Seconds up to which a page may hold up the loop.
SHORT_S = 0.005
#: Share of the newest page in what a page usually takes.
_NEWEST = 0.1
_pages = ThreadPoolExecutor(1, thread_name_prefix="pages")
_batches = ThreadPoolExecutor(1, thread_name_prefix="batches")


class _Usual:
    """What a page takes, seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def timed(self, work: Callable[..., T], *arguments: object) -> T:
        started = time.perf_counter()
        try:
            return work(*arguments)
        finally:
            took = time.perf_counter() - started
            self.seconds += _NEWEST * (took - self.seconds)


class PageScheduler:
    """Those who wait for their page, first come first served. One event loop's."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._usual = _Usual()
        #: Pages that are asked for and not made yet.
        self.waiting = 0

    async def computed(self, work: Callable[..., T], *arguments: object) -> T:
        """``work(*arguments)``, which makes one page; raises what it raises."""
        self.waiting += 1
        try:
            async with self._turn:
                if self._usual.seconds < SHORT_S:
                    try:
                        return self._usual.timed(work, *arguments)
                    finally:
                        # While the next one waits for its turn, the loop sees what else has come.
                        await asyncio.sleep(0)
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(_pages, self._usual.timed, work, *arguments)
        finally:
            self.waiting -= 1


async def run_in_batch_thread(work: Callable[..., T], *arguments: object) -> T:
    """``work(*arguments)``, which may take seconds, in a thread; raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_batches, work, *arguments)
