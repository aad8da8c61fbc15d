"""A real Chromium, and a page in it that tells what went wrong by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Playwright

CHROMIUM = Path("/usr/bin/chromium")
_QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WIDE, NARROW = (1440, 900), (360, 740)
#: What a busy machine may take until something shows.
PATIENCE_MS = 30_000


@contextlib.contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_QUIET))
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Heard:
    """What a page complained about: errors of scripts, of the content policy, of the network."""

    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(
    browser: Browser,
    address: str,
    size: tuple[int, int] = WIDE,
    *,
    strict: bool = True,
    **more: Any,
) -> Iterator[Page]:
    """A window of somebody who was never here. ``strict``: it must not complain."""
    width, height = size
    phone = size == NARROW
    context = browser.new_context(
        base_url=address,
        viewport={"width": width, "height": height},
        is_mobile=phone,
        has_touch=phone,
        **{"color_scheme": "light", "reduced_motion": "reduce", **more},
    )
    heard = Heard()
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.on("pageerror", lambda error: heard.errors.append(str(error)))
    page.on(
        "console", lambda said: heard.errors.append(said.text) if said.type == "error" else None
    )
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((address, "data:", "blob:"))
            else heard.elsewhere.append(asked.url)
        ),
    )
    try:
        yield page
        if strict:
            assert heard.errors == []
        assert [one for one in heard.elsewhere if "//image.tmdb.org/" not in one] == []
    finally:
        context.close()
