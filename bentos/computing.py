"""Threads for computing: one for pages of one person, one for lists of many people at once.

Two at a time only take turns, and pay for each: Python runs one thread, and NumPy's steps are too
short to make up for it. Two threads made as many pages a second as one, in 1.6 times the
processor's time. What takes long has a thread of its own, so that no page waits for it; what waits
for a disk or another server has Starlette's many threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_pages = ThreadPoolExecutor(1, thread_name_prefix="pages")
_batches = ThreadPoolExecutor(1, thread_name_prefix="batches")


async def computed(work: Callable[..., T], *arguments: object) -> T:
    """``work(*arguments)``, which takes some milliseconds, in a thread; raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_pages, work, *arguments)


async def computed_at_length(work: Callable[..., T], *arguments: object) -> T:
    """As :func:`computed`, for what may take seconds."""
    return await asyncio.get_running_loop().run_in_executor(_batches, work, *arguments)
