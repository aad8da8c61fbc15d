"""``make screenshots``: pictures of every view, light and dark, wide and narrow.

The best two go to ``docs/images`` for the README; all of them to ``benchmarks/out/page``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from benchmarks.page_service import looked_at
from tests.page.browser import NARROW, WIDE, chromium, opened
from tests.page.visit import Visit
from tests.projects import ROOT
from tests.service.conftest import Service

ALL = ROOT / "benchmarks" / "out" / "page"
BEST = ROOT / "docs" / "images"
_FILMS = (
    ("toy story", "Toy Story", 5.0),
    ("matri", "The Matrix", 4.5),
    ("princess br", "The Princess Bride", 4.0),
    ("spirited", "Spirited Away", 5.0),
)
_BEST = {"for-you-wide-dark": "page", "behind-upper-wide-light": "behind-the-scenes"}
QUALITY, MOST_BYTES = 80, 200_000
#: Of the page for engineers: down to the comparison of champion and challenger.
UPPER_PART = 1370


def take(browser: Browser, service: Service, size: tuple[int, int], colours: str) -> None:
    """One evening of a person, a picture of each view."""
    name = f"{'wide' if size == WIDE else 'narrow'}-{colours}"
    with opened(
        browser, service.address, size, color_scheme=colours, device_scale_factor=1
    ) as page:
        visit = Visit(page)
        visit.arrive()
        _keep(page, f"arrive-{name}")
        shown = visit.films()
        for number, (words, title, stars) in enumerate(_FILMS):
            page.get_by_role("combobox").fill(words)
            page.get_by_role("option").first.wait_for()
            if number == 1:
                _keep(page, f"search-{name}")
            visit.find(words, title)
            if number == 1:
                _keep(page, f"rate-{name}")
            visit.answer(stars)
            shown = visit.changed(shown)
        page.get_by_role("button", name="Dismiss").click()
        page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.mouse.move(0, 0)
        _keep(page, f"for-you-{name}")
        page.goto("/movie/260")
        visit.drawn()
        _keep(page, f"film-{name}")
        page.goto("/you")
        _keep(page, f"you-{name}")
        page.goto("/behind")
        page.get_by_role("table").first.wait_for()
        _keep(page, f"behind-{name}", whole=True)
        if size == WIDE:
            page.set_viewport_size({"width": WIDE[0], "height": UPPER_PART})
            _keep(page, f"behind-upper-{name}")


def _keep(page: Page, name: str, *, whole: bool = False) -> None:
    page.wait_for_timeout(150)  # a hovered button's colours settle
    page.screenshot(
        path=ALL / f"{name}.jpg",
        type="jpeg",
        quality=QUALITY,
        full_page=whole,
        animations="disabled",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    console = Console()
    ALL.mkdir(parents=True, exist_ok=True)
    BEST.mkdir(parents=True, exist_ok=True)
    with (
        looked_at(console, judged=True) as service,
        sync_playwright() as playwright,
        chromium(playwright) as browser,
    ):
        for size in (WIDE, NARROW):
            for colours in ("light", "dark"):
                take(browser, service, size, colours)
    for name, best in _BEST.items():
        picture = (ALL / f"{name}.jpg").read_bytes()
        if len(picture) > MOST_BYTES:
            raise SystemExit(f"{name}.jpg has {len(picture)} bytes, more than {MOST_BYTES}")
        Path(BEST, f"{best}.jpg").write_bytes(picture)
    console.print(f"all in {ALL}, the best in {BEST}")


if __name__ == "__main__":
    main()
