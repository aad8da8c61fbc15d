"""What a person does on the page, in words of the page."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.page.browser import PATIENCE_MS

expect.set_options(timeout=PATIENCE_MS)


#: The wall is drawn: no card is on its way, and there are more than so many.
_DRAWN = """shown => document.querySelectorAll('main .card[data-film]').length > shown
    && !document.querySelector('.card.skeleton, .wall[aria-busy=true]')"""


class Visit:
    """One window, and what somebody sees and does in it."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def arrive(self) -> None:
        self.page.goto("/")
        self.drawn()

    def drawn(self) -> None:
        """Wait until the wall is whole."""
        self.page.wait_for_function(_DRAWN, arg=0)

    @property
    def cards(self) -> Locator:
        return self.page.locator("main .card[data-film]")

    def films(self) -> list[int]:
        """MovieLens ids in the wall, first to last."""
        found: list[int] = self.page.evaluate(
            "[...document.querySelectorAll('main .card[data-film]')].map(c => +c.dataset.film)"
        )
        return found

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", name=text, exact=True)

    def changed(self, before: list[int]) -> list[int]:
        """The films in the wall, as soon as they are others than ``before``."""
        self.page.wait_for_function(
            """before => {
                const cards = [...document.querySelectorAll('main .card[data-film]')];
                const busy = document.querySelector('.card.skeleton, .wall[aria-busy=true]');
                return cards.length && !busy && cards.map(c => +c.dataset.film).join() !== before;
            }""",
            arg=",".join(map(str, before)),
        )
        return self.films()

    def find(self, words: str, title: str) -> None:
        """Search as one types, and choose by keyboard; the film is asked about then."""
        self.page.get_by_role("combobox", name="Search films").fill(words)
        option = self.page.get_by_role("option").filter(
            has=self.page.get_by_text(title, exact=True).locator("visible=true")
        )
        expect(option.first).to_be_visible()
        place = int(option.first.evaluate("one => [...one.parentNode.children].indexOf(one)"))
        for _ in range(place + 1):
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("dialog").get_by_role("heading", name=title)).to_be_visible()

    def answer(self, stars: float) -> None:
        """Give stars to the film that is asked about, by hand."""
        press(self.page.get_by_role("dialog").get_by_role("slider"), stars)
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def rate_in_wall(self, film: int, stars: float) -> None:
        press(self.page.locator(f".card[data-film='{film}']").get_by_role("slider"), stars)

    def to_the_end(self) -> list[int]:
        """Show more until that is all."""
        more = self.page.get_by_role("button", name="Show more")
        end = self.page.get_by_text("That is all")
        while not end.count():
            shown = self.cards.count()
            more.click()
            self.page.wait_for_function(_DRAWN, arg=shown)
        return self.films()

    def kept(self) -> dict[str, Any]:
        """What the browser keeps of the person."""
        kept: dict[str, Any] = json.loads(
            self.page.evaluate("localStorage.getItem('moovier.person')")
        )
        return kept

    def rated(self) -> list[int]:
        return [one["film"]["id"] for one in self.kept()["ratings"]]


def press(slider: Locator, stars: float) -> None:
    """Touch the star, as somebody with a hand does."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] * (stars / 5 - 0.05), "y": box["height"] / 2})
