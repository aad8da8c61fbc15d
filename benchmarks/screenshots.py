"""``make screenshots``: the pictures of the page that the README shows, into ``docs/images/``."""

from __future__ import annotations

import argparse

from playwright.sync_api import Page

from benchmarks.browser import RATED, page_of
from tests.dvc_checkout import ROOT
from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.visitor import Visitor

IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Somebody on a wide dark screen, and somebody with a phone in daylight."""
    arguments = argparse.ArgumentParser(description="Pictures of the page for the README.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    options = arguments.parse_args()
    IMAGES.mkdir(exist_ok=True)
    with page_of(options.data) as (browser, address, _):
        for name, size, scheme in (
            ("wide-dark", DESKTOP, "dark"),
            ("narrow-light", PHONE, "light"),
        ):
            with open_page(browser, address, size, color_scheme=scheme) as page:
                rate(page)
                page.screenshot(path=IMAGES / f"{name}.jpg", type="jpeg", quality=80)


def rate(page: Page) -> None:
    """Rate the first films, and wait until the list is theirs and no word lies over it."""
    visitor = Visitor(page)
    visitor.open_discover()
    for words, title, stars in RATED:
        before = visitor.listed_ids()
        visitor.search(words, title)
        visitor.rate_in_dialog(stars)
        visitor.wait_for_other_list(before)
    page.mouse.move(0, 0)
    page.get_by_role("status").first.wait_for(state="attached")
    page.wait_for_timeout(8000)
    # Down to where a whole row of films is in sight, with stars and reasons.
    page.evaluate(
        """() => {
            document.activeElement.blur();
            document.querySelector(innerWidth < 600 ? '.discover' : '.rated-bar').scrollIntoView();
        }"""
    )
    page.wait_for_timeout(500)


if __name__ == "__main__":
    main()
