"""Where answers are computed: a page at a time, and the event loop sees others in between."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from bentos.computing import SHORT_S, PageScheduler, run_in_batch_thread


def test_between_two_pages_others_have_their_turn() -> None:
    line = PageScheduler()
    done: list[str] = []

    async def ask(name: str) -> None:
        await line.computed(done.append, name)

    async def other() -> None:
        for _ in range(6):
            done.append("other")
            await asyncio.sleep(0)

    async def everybody() -> None:
        asking = [asyncio.create_task(ask(name)) for name in "abc"]
        await asyncio.gather(*asking, other())

    asyncio.run(everybody())
    places = [done.index(name) for name in "abc"]
    assert places == sorted(places)
    assert all("other" in done[one:next_] for one, next_ in itertools.pairwise(places))
    assert line.waiting == 0


def test_a_page_that_takes_long_has_a_thread() -> None:
    line = PageScheduler()

    def where() -> str:
        return threading.current_thread().name

    async def both() -> tuple[str, str]:
        quick = await line.computed(where)
        line._usual.seconds = 10 * SHORT_S
        return quick, await line.computed(where)

    quick, long = asyncio.run(both())
    assert quick == threading.main_thread().name
    assert long.startswith("pages")
    # Short ones bring it back to the loop.
    assert line._usual.seconds < 10 * SHORT_S
    assert asyncio.run(run_in_batch_thread(where)).startswith("batches")


def test_an_error_is_the_caller_s_and_holds_nobody_up() -> None:
    line = PageScheduler()

    def fails() -> None:
        raise ValueError("no such page")

    async def ask() -> str:
        with pytest.raises(ValueError, match="no such page"):
            await line.computed(fails)
        return await line.computed(lambda: "the next")

    assert asyncio.run(ask()) == "the next"
    assert line.waiting == 0
