"""The page scheduler: one page at a time, and other requests in between."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from moovier.serving.page_scheduler import MAX_BLOCKING_S, PageScheduler, run_in_batch_thread


def test_other_tasks_run_between_two_pages() -> None:
    scheduler = PageScheduler()
    done: list[str] = []

    async def ask(name: str) -> None:
        await scheduler.run(done.append, name)

    async def other() -> None:
        for _ in range(6):
            done.append("other")
            await asyncio.sleep(0)

    async def run_all() -> None:
        pages = [asyncio.create_task(ask(name)) for name in "abc"]
        await asyncio.gather(*pages, other())

    asyncio.run(run_all())
    places = [done.index(name) for name in "abc"]
    assert places == sorted(places)
    assert all("other" in done[first:second] for first, second in itertools.pairwise(places))
    assert scheduler.waiting == 0


def test_slow_pages_run_in_a_thread() -> None:
    scheduler = PageScheduler()

    def where() -> str:
        return threading.current_thread().name

    async def both() -> tuple[str, str]:
        quick = await scheduler.run(where)
        scheduler._page_time.seconds = 10 * MAX_BLOCKING_S
        return quick, await scheduler.run(where)

    quick, long = asyncio.run(both())
    assert quick == threading.main_thread().name
    assert long.startswith("pages")
    # Quick pages bring the moving average down.
    assert scheduler._page_time.seconds < 10 * MAX_BLOCKING_S
    assert asyncio.run(run_in_batch_thread(where)).startswith("batches")


def test_error_reaches_the_caller_and_blocks_no_other_page() -> None:
    scheduler = PageScheduler()

    def fails() -> None:
        raise ValueError("no such page")

    async def ask() -> str:
        with pytest.raises(ValueError, match="no such page"):
            await scheduler.run(fails)
        return await scheduler.run(lambda: "the next")

    assert asyncio.run(ask()) == "the next"
    assert scheduler.waiting == 0
