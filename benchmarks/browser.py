"""Run the service with trained models and use its page in a real browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks import models, report
from benchmarks.servers import mlflow_server, service
from moovier.data import sources
from moovier.jobs.registration import open_registry
from moovier.settings import Settings, load_settings

CHROMIUM = Path("/usr/bin/chromium")
#: Window sizes in pixels.
DESKTOP, PHONE = (1440, 900), (360, 740)
#: Ratings that the visitor gives: search text, title, stars.
RATED = (("toy story", "Toy Story", 5.0), ("matrix", "The Matrix", 5.0), ("up", "Up", 4.5))
_TIMEOUT_MS = 30_000
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
#: The list is complete, and its movies differ from those in the argument.
_SHOWS_OTHER_MOVIES = """before => {
    const cards = [...document.querySelectorAll('main .card[data-movie]')];
    const busy = document.querySelector('.card.skeleton, .movie-grid[aria-busy=true]');
    return cards.length && !busy && cards.map(card => +card.dataset.movie).join() !== before;
}"""
_LISTED_IDS = (
    "[...document.querySelectorAll('main .card[data-movie]')].map(c => +c.dataset.movie).join()"
)


@contextlib.contextmanager
def running_page(data: str | None) -> Iterator[tuple[Browser, str, sources.DataRef]]:
    """Run a service with trained models; yield a browser, the address and the data set."""
    reference = sources.fetch(load_settings(**report.data_setting(data)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow)
            registry = open_registry(settings)
            registry.promote(
                models.register(settings, folder, reference.folder, "dae", 128), "for a benchmark"
            )
            registry.set_rating_model(
                models.register(settings, folder, reference.folder, "taste", 10)
            )
            with service(settings) as running, sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
                try:
                    yield browser, running.address, reference
                finally:
                    browser.close()


@contextlib.contextmanager
def open_page(
    browser: Browser, address: str, size: tuple[int, int] = DESKTOP, **options: Any
) -> Iterator[Page]:
    """Open a page with empty storage; ``options`` are those of Playwright's context."""
    width, height = size
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        is_mobile=size == PHONE,
        has_touch=size == PHONE,
        **{"color_scheme": "light", "reduced_motion": "reduce", **options},
    )
    try:
        page = context.new_page()
        page.set_default_timeout(_TIMEOUT_MS)
        yield page
    finally:
        context.close()


class Visitor:
    """A visitor of one page."""

    def __init__(self, page: Page) -> None:
        """Use ``page``."""
        self.page = page

    def open_discover(self) -> None:
        """Open the first view, and wait for its list."""
        self.page.goto("/")
        self.wait_for_other_list("")

    def listed_ids(self) -> str:
        """Return the ids of the listed movies, separated by commas."""
        ids: str = self.page.evaluate(_LISTED_IDS)
        return ids

    def wait_for_other_list(self, before: str) -> None:
        """Wait for a complete list whose movies differ from ``before``."""
        self.page.wait_for_function(_SHOWS_OTHER_MOVIES, arg=before)

    def search(self, text: str, title: str) -> None:
        """Search for a movie, and open its dialog by keyboard."""
        self.page.get_by_role("combobox", name="Search movies").fill(text)
        options = self.page.get_by_role("option")
        option = options.filter(
            has=self.page.get_by_text(title, exact=True).locator("visible=true")
        ).first
        option.wait_for()
        index = int(option.evaluate("item => [...item.parentNode.children].indexOf(item)"))
        for _ in range(index + 1):
            self.page.keyboard.press("ArrowDown")
        self.page.keyboard.press("Enter")
        self.page.get_by_role("dialog").get_by_role("heading", name=title).wait_for()

    def rate_in_dialog(self, stars: float) -> None:
        """Rate the movie of the open dialog, and wait until the dialog closes."""
        dialog = self.page.get_by_role("dialog")
        slider = dialog.get_by_role("slider")
        slider.scroll_into_view_if_needed()
        box = slider.bounding_box()
        if box is None:
            raise RuntimeError("the dialog shows no stars to click")
        slider.click(position={"x": box["width"] * (stars / 5 - 0.05), "y": box["height"] / 2})
        dialog.wait_for(state="detached")
