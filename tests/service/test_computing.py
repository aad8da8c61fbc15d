"""Where answers are computed: a page at a time, and the event loop sees others in between."""

from __future__ import annotations

import asyncio
import itertools
import threading

import pytest

from bentos import computing
from bentos.computing import computed, computed_at_length, waiting


@pytest.fixture(autouse=True)
def own_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock belongs to the event loop that first waited for it."""
    monkeypatch.setattr(computing, "_line", computing._Line())
    monkeypatch.setattr(computing, "_usual", computing._Usual())


def test_between_two_pages_others_have_their_turn() -> None:
    done: list[str] = []

    async def ask(name: str) -> None:
        await computed(done.append, name)

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
    assert waiting() == 0


def test_a_page_that_takes_long_has_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def where() -> str:
        return threading.current_thread().name

    async def both() -> tuple[str, str]:
        quick = await computed(where)
        monkeypatch.setattr(computing._usual, "seconds", 10 * computing.SHORT_S)
        return quick, await computed(where)

    quick, long = asyncio.run(both())
    assert quick == threading.main_thread().name
    assert long.startswith("pages")
    # Short ones bring it back to the loop.
    assert computing._usual.seconds < 10 * computing.SHORT_S
    assert asyncio.run(computed_at_length(where)).startswith("batches")


def test_an_error_is_the_caller_s_and_holds_nobody_up() -> None:
    def fails() -> None:
        raise ValueError("no such page")

    async def ask() -> str:
        with pytest.raises(ValueError, match="no such page"):
            await computed(fails)
        return await computed(lambda: "the next")

    assert asyncio.run(ask()) == "the next"
    assert waiting() == 0
