"""A visitor of the page: what somebody does in the browser, and what they see."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.page.browser import TIMEOUT_MS

expect.set_options(timeout=TIMEOUT_MS)


#: JavaScript: whether more than ``count`` cards are rendered and no card is loading.
_IS_RENDERED = """count => document.querySelectorAll('main .card[data-movie]').length > count
    && !document.querySelector('.card.skeleton, .movie-grid[aria-busy=true]')"""
#: JavaScript: whether nothing is loading, and the list has more than ``count`` cards or its end.
_HAS_MORE_OR_ENDS = """count =>
    !document.querySelector('.card.skeleton, .movie-grid[aria-busy=true]')
    && (document.querySelectorAll('main .card[data-movie]').length > count
        || document.body.innerText.includes('End of the list'))"""
_SHOWS_OTHER_MOVIES = """before => {
    const cards = [...document.querySelectorAll('main .card[data-movie]')];
    const busy = document.querySelector('.card.skeleton, .movie-grid[aria-busy=true]');
    return cards.length && !busy && cards.map(card => +card.dataset.movie).join() !== before;
}"""


class Visitor:
    """A person in front of one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open_discover(self) -> None:
        """Open the first view, and wait for its list."""
        self.page.goto("/")
        self.wait_for_list()

    def wait_for_list(self) -> None:
        """Wait until all cards of the list are rendered."""
        self.page.wait_for_function(_IS_RENDERED, arg=0)

    @property
    def cards(self) -> Locator:
        """The rendered cards of the list."""
        return self.page.locator("main .card[data-movie]")

    def card(self, movie_id: int) -> Locator:
        """Return the card of one movie."""
        return self.page.locator(f".card[data-movie='{movie_id}']")

    def listed_ids(self) -> list[int]:
        """Return the ids of the movies in the list, first to last."""
        movie_ids: list[int] = self.page.evaluate(
            "[...document.querySelectorAll('main .card[data-movie]')].map(c => +c.dataset.movie)"
        )
        return movie_ids

    def heading(self, text: str) -> Locator:
        """Return the heading with exactly this text."""
        return self.page.get_by_role("heading", name=text, exact=True)

    def wait_for_other_list(self, before: list[int]) -> list[int]:
        """Wait until the list differs from ``before``; return the ids of its movies."""
        self.page.wait_for_function(_SHOWS_OTHER_MOVIES, arg=",".join(map(str, before)))
        return self.listed_ids()

    def search(self, text: str, title: str) -> None:
        """Type into the search field, and choose the movie by keyboard to open its dialog."""
        self.page.get_by_role("combobox", name="Search movies").fill(text)
        option = self.page.get_by_role("option").filter(
            has=self.page.get_by_text(title, exact=True).locator("visible=true")
        )
        expect(option.first).to_be_visible()
        index = int(option.first.evaluate("item => [...item.parentNode.children].indexOf(item)"))
        for _ in range(index + 1):
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_role("dialog").get_by_role("heading", name=title)).to_be_visible()

    def rate_in_dialog(self, stars: float) -> None:
        """Give stars to the movie of the open dialog."""
        click_stars(self.page.get_by_role("dialog").get_by_role("slider"), stars)
        expect(self.page.get_by_role("dialog")).to_have_count(0)

    def rate_in_list(self, movie_id: int, stars: float) -> None:
        """Give stars to a movie on its card."""
        click_stars(self.card(movie_id).get_by_role("slider"), stars)

    def load_all(self) -> list[int]:
        """Load the list to its end; return the ids of its movies."""
        more = self.page.get_by_role("button", name="Show more")
        end = self.page.get_by_text("End of the list")
        while not end.count():
            shown = self.cards.count()
            # The page also loads by itself near the end of the list: the button may go away.
            with contextlib.suppress(PlaywrightTimeout):
                more.click(timeout=3_000)
            self.page.wait_for_function(_HAS_MORE_OR_ENDS, arg=shown)
        self.page.wait_for_function(_HAS_MORE_OR_ENDS, arg=0)
        return self.listed_ids()

    def wait_until_sent(self) -> None:
        """Wait until no rating is waiting to be sent to the service."""
        self.page.wait_for_function("() => localStorage.getItem('moovier.outbox') === null")

    def stored(self) -> dict[str, Any]:
        """Return what the browser has stored about the visitor."""
        stored: dict[str, Any] = json.loads(
            self.page.evaluate("localStorage.getItem('moovier.person')")
        )
        return stored

    def rated_ids(self) -> list[int]:
        """Return the ids of the rated movies, oldest rating first."""
        return [rating["film"]["id"] for rating in self.stored()["ratings"]]


def click_stars(slider: Locator, stars: float) -> None:
    """Click or tap on a row of stars."""
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    assert box is not None
    slider.click(position={"x": box["width"] * (stars / 5 - 0.05), "y": box["height"] / 2})
