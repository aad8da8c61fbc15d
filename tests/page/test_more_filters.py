"""The filters by what only TMDB knows: where to watch, length and original language."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.service_with_tmdb import FRENCH, IN_FRANCE, LONG, STREAMED, WithTmdb
from tests.page.test_accessibility import assert_accessible
from tests.page.test_visits import fits_window
from tests.page.visitor import Visitor
from tests.service.conftest import Service


def open_filters(page: Page) -> None:
    """Open the filters by keyboard."""
    more = page.get_by_role("button", name="More filters")
    expect(more).to_have_attribute("aria-expanded", "false")
    more.focus()
    page.keyboard.press("Enter")
    expect(more).to_have_attribute("aria-expanded", "true")


def choice(page: Page, name: str) -> Locator:
    """Return the field of a filter."""
    return page.get_by_role("combobox", name=name, exact=True)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_lists_are_filtered_by_service_length_and_language(
    browser: Browser, with_tmdb: WithTmdb, axe: str, size: tuple[int, int]
) -> None:
    streamed, long, french = (with_tmdb.best[place] for place in (STREAMED, LONG, FRENCH))
    with open_page(browser, with_tmdb.address, size, strict=False, locale="en-US") as page:
        visitor = Visitor(page)
        visitor.open_discover()
        before = visitor.listed_ids()
        open_filters(page)
        filters = page.get_by_role("group", name="Where to watch, length and language")
        expect(filters.get_by_text("JustWatch")).to_be_visible()
        choice(page, "Watch on").select_option("Streamer")
        assert visitor.wait_for_other_list(before) == [streamed, long, french]
        expect(page).to_have_url("/?on=8&in=US")
        assert fits_window(page)
        assert_accessible(page, axe, "more filters")

        choice(page, "Length").select_option("Up to 2 h")
        assert visitor.wait_for_other_list([streamed, long, french]) == [streamed, french]
        # By keyboard: the letters choose a language.
        choice(page, "Language").focus()
        page.keyboard.type("French")
        assert visitor.wait_for_other_list([streamed, french]) == [french]
        expect(page).to_have_url("/?on=8&in=US&max=120&language=fr")

        # A link keeps the filters, and shows them.
        page.reload()
        visitor.wait_for_list()
        assert visitor.listed_ids() == [french]
        expect(page.get_by_role("button", name="More filters (3)")).to_be_visible()
        expect(choice(page, "Length")).to_have_value("-120")

        chosen = page.get_by_role("button", name="Streamer")
        chosen.press("Enter")
        expect(chosen).to_have_count(0)
        expect(page).to_have_url("/?max=120&language=fr")
        page.get_by_role("button", name="Clear filters").click()
        visitor.wait_for_other_list([french])
        expect(page).to_have_url("/")
        assert visitor.listed_ids() == before


def test_services_follow_the_country_which_is_kept(browser: Browser, with_tmdb: WithTmdb) -> None:
    with open_page(browser, with_tmdb.address, strict=False, locale="en-US") as page:
        page.goto("/?on=8&in=FR")
        expect(Visitor(page).card(with_tmdb.best[IN_FRANCE])).to_be_visible()
        expect(choice(page, "Country")).to_have_value("FR")
        choice(page, "Country").select_option("Germany")
        expect(page.get_by_text("No movie matches the filters.")).to_be_visible()
        expect(page).to_have_url("/?on=8&in=DE")
        page.goto("/")
        open_filters(page)
        expect(choice(page, "Country")).to_have_value("DE")


def test_movies_on_the_rise_have_no_such_filters(browser: Browser, with_tmdb: WithTmdb) -> None:
    with open_page(browser, with_tmdb.address, strict=False) as page:
        visitor = Visitor(page)
        page.goto("/?max=120")
        expect(choice(page, "Length")).to_be_visible()
        page.get_by_role("button", name="Trending").click()
        expect(page).to_have_url("/?order=trending")
        expect(page.get_by_role("button", name="More filters")).to_have_count(0)
        visitor.wait_for_list()


def test_page_without_a_key_has_no_such_filters(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        with page.expect_response("**/filters") as answer:
            page.goto("/")
        assert answer.value.json()["tmdb"] is False
        Visitor(page).wait_for_list()
        expect(page.get_by_role("button", name="Trending")).to_be_visible()
        expect(page.get_by_role("button", name="More filters")).to_have_count(0)
