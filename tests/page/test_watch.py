"""Where to watch a movie, on its page."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.service_with_tmdb import TOY_STORY_LINK, WithTmdb
from tests.page.test_accessibility import assert_accessible
from tests.page.test_visits import TOY_STORY, fits_window
from tests.service.conftest import Service


def test_movie_page_shows_the_offers_of_a_country(
    browser: Browser, with_tmdb: WithTmdb, axe: str
) -> None:
    for size in (DESKTOP, PHONE):
        with open_page(browser, with_tmdb.address, size, strict=False, locale="en-US") as page:
            page.goto(f"{with_tmdb.address}/movie/{TOY_STORY[2]}")
            offers = page.get_by_role("region", name="Where to watch")
            expect(offers.get_by_text("Channel")).to_be_visible()
            expect(offers.get_by_text("Shop")).to_be_visible()
            expect(offers.get_by_text("JustWatch")).to_be_visible()
            expect(page.get_by_text("not endorsed or certified by TMDB")).to_be_visible()
            expect(offers.get_by_role("link")).to_have_attribute("href", TOY_STORY_LINK)
            assert fits_window(page)
            assert_accessible(page, axe, "offers")
            # By keyboard: the country is chosen, and kept after a reload.
            country = offers.get_by_label("Country")
            country.focus()
            page.keyboard.type("France")
            expect(offers.get_by_text("No offers are known")).to_be_visible()
            page.reload()
            expect(offers.get_by_label("Country")).to_have_value("FR")


def test_movie_page_without_a_key_shows_no_offers(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        with page.expect_response("**/providers*") as answer:
            page.goto(f"{service.address}/movie/{TOY_STORY[2]}")
        assert answer.value.json()["known"] is False
        expect(page.get_by_role("heading", name="Similar movies")).to_be_visible()
        expect(page.get_by_role("region", name="Where to watch")).to_have_count(0)
