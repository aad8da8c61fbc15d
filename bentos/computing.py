"""Threads for computing, few of them: more than there are cores only take turns, each holding its
own working memory. What waits for a disk or another server has Starlette's many threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
_threads = ThreadPoolExecutor(min(os.cpu_count() or 1, 4), thread_name_prefix="computing")


async def computed(work: Callable[..., T], *arguments: object) -> T:
    """``work(*arguments)`` in one of the threads; raises what it raises."""
    return await asyncio.get_running_loop().run_in_executor(_threads, work, *arguments)
