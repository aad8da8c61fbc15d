"""A real Chromium, with pages that record what goes wrong in them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request

CHROMIUM = Path("/usr/bin/chromium")
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
#: Window sizes in pixels.
DESKTOP, PHONE = (1440, 900), (360, 740)
#: Longest wait for anything to appear on a busy machine.
TIMEOUT_MS = 30_000
#: The only other server that the page may load from.
IMAGE_SERVER = "https://image.tmdb.org/"


@contextlib.contextmanager
def launch_chromium(playwright: Playwright) -> Iterator[Browser]:
    """Run a browser without a window."""
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class PageLog:
    """The errors of a page, and its requests to other servers."""

    #: Errors of scripts, of the content security policy, and of the network.
    errors: list[str] = field(default_factory=list)
    foreign_urls: list[str] = field(default_factory=list)

    def record_message(self, message: ConsoleMessage) -> None:
        """Record a console message when it is an error."""
        if message.type == "error":
            self.errors.append(message.text)


@contextlib.contextmanager
def open_page(
    browser: Browser,
    address: str,
    size: tuple[int, int] = DESKTOP,
    *,
    strict: bool = True,
    **options: Any,
) -> Iterator[Page]:
    """Open a page with empty storage; fail when it loads from an unknown server.

    ``strict``: fail on any error in the page, too. ``options``: Playwright's for a context.
    """
    width, height = size
    is_phone = size == PHONE
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        is_mobile=is_phone,
        has_touch=is_phone,
        **{"color_scheme": "light", "reduced_motion": "reduce", **options},
    )
    log = PageLog()

    def record_request(request: Request) -> None:
        if not request.url.startswith((address, "data:", "blob:", IMAGE_SERVER)):
            log.foreign_urls.append(request.url)

    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.on("pageerror", lambda error: log.errors.append(str(error)))
    page.on("console", log.record_message)
    page.on("request", record_request)
    try:
        yield page
        if strict:
            assert log.errors == []
        assert log.foreign_urls == []
    finally:
        context.close()
