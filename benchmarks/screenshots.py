"""``make screenshots``: take the README's screenshots of the page into ``docs/images/``."""

from __future__ import annotations

import argparse

from playwright.sync_api import Page

from benchmarks.browser import DESKTOP, PHONE, RATED, Visitor, open_page, running_page
from benchmarks.servers import ROOT

IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Take one screenshot with a wide dark window and one with a phone's light window."""
    arguments = argparse.ArgumentParser(description="Screenshots of the page for the README.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    options = arguments.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with running_page(options.data) as (browser, address, _):
        for name, size, scheme in (
            ("wide-dark", DESKTOP, "dark"),
            ("narrow-light", PHONE, "light"),
        ):
            with open_page(browser, address, size, color_scheme=scheme) as page:
                rate(page)
                page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=80)


def rate(page: Page) -> None:
    """Rate the first movies, and wait until the list follows them and no message covers it."""
    visitor = Visitor(page)
    visitor.open_discover()
    for words, title, stars in RATED:
        before = visitor.listed_ids()
        visitor.search(words, title)
        visitor.rate_in_dialog(stars)
        visitor.wait_for_other_list(before)
    page.mouse.move(0, 0)
    page.get_by_role("status").first.wait_for(state="attached")
    # Messages disappear by themselves after some seconds.
    page.wait_for_timeout(8000)
    # Scroll to where a whole row of movies is visible, with stars and reasons.
    page.evaluate(
        """() => {
            document.activeElement.blur();
            document.querySelector(innerWidth < 600 ? '.discover' : '.rated-bar').scrollIntoView();
        }"""
    )
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
