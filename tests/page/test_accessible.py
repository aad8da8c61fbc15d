"""axe-core finds nothing on any view, light or dark; by keyboard alone one gets everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dvc_checkout import ROOT
from tests.page.browser import NARROW, WIDE, opened
from tests.page.test_visits import TOY_STORY
from tests.page.visit import Visit
from tests.service.conftest import Service

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")
def axe(built: Path) -> str:
    return AXE.read_text()


def check(page: Page, axe: str, view: str) -> None:
    """Every rule of axe, the best practices as well, in both colours."""
    # Into the page by the debugger, past the page's own policy.
    page.evaluate(axe)
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert found["passes"], "axe has looked at nothing"
        said = [
            f"{view}, {colours}: {one['id']}: {one['help']}: {node['html'][:200]} "
            f"{node['failureSummary'][:300]}"
            for one in found["violations"]
            for node in one["nodes"][:3]
        ]
        assert said == [], "\n".join(said)


def arriving(visit: Visit) -> None:
    visit.arrive()


def searching(visit: Visit) -> None:
    visit.page.get_by_role("combobox").fill(TOY_STORY[0])
    expect(visit.page.get_by_role("option").first).to_be_visible()
    visit.page.keyboard.press("ArrowDown")


def asked(visit: Visit) -> None:
    visit.page.keyboard.press("Enter")
    expect(visit.page.get_by_role("dialog")).to_be_visible()


def personal(visit: Visit) -> None:
    visit.answer(4.5)
    expect(visit.heading("For you")).to_be_visible()
    expect(visit.page.locator(".expected").first).to_be_visible()


def a_film(visit: Visit) -> None:
    visit.page.goto("/movie/1")
    expect(visit.cards.first).to_be_visible()


def you(visit: Visit) -> None:
    visit.page.goto("/you")
    visit.page.get_by_role("button", name="Forget me").click()


def behind(visit: Visit) -> None:
    visit.page.goto("/behind")
    expect(visit.page.get_by_role("table").first).to_be_visible()
    visit.page.get_by_label("Pasted JSON").check()


STEPS: tuple[Callable[[Visit], None], ...] = (
    arriving,
    searching,
    asked,
    personal,
    a_film,
    you,
    behind,
)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desk", "phone"])
def test_axe_finds_nothing(
    browser: Browser, service: Service, axe: str, size: tuple[int, int]
) -> None:
    with opened(browser, service.address, size) as page:
        visit = Visit(page)
        for step in STEPS:
            step(visit)
            check(page, axe, step.__name__)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), step


def test_axe_would_find_something(browser: Browser, service: Service, axe: str) -> None:
    with opened(browser, service.address) as page:
        Visit(page).arrive()
        page.evaluate("document.querySelector('main h1').remove(); document.title = ''")
        with pytest.raises(AssertionError, match="document-title"):
            check(page, axe, "broken")


def test_by_keyboard_alone(browser: Browser, service: Service) -> None:
    with opened(browser, service.address) as page:
        visit = Visit(page)
        visit.arrive()
        press = page.keyboard.press
        press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        press("Enter")
        press("Tab")
        expect(page.get_by_role("combobox")).to_be_focused()
        page.keyboard.type("matri")
        expect(page.get_by_role("option", name="The Matrix").first).to_be_visible()
        press("ArrowDown")
        press("Enter")
        slider = page.get_by_role("dialog").get_by_role("slider")
        expect(slider).to_be_focused()
        expect(slider).to_have_attribute("aria-valuetext", "not rated")
        press("3")
        press("ArrowRight")
        expect(slider).to_have_attribute("aria-valuetext", "3.5 of 5 stars: Good")
        press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.get_by_role("combobox")).to_be_focused()
        # What was only tried out, and then left, was not said.
        before = visit.films()
        card = visit.cards.first.get_by_role("slider")
        card.focus()
        press("End")
        press("Enter")
        visit.changed(before)
        # The card is gone; the focus is on the one in its place, not lost.
        expect(visit.cards.first.get_by_role("heading").get_by_role("link")).to_be_focused()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desk", "phone"])
def test_nothing_jumps(browser: Browser, service: Service, size: tuple[int, int]) -> None:
    """Cumulative layout shift, by the browser's own count."""
    with opened(browser, service.address, size) as page:
        page.add_init_script(
            "window.shifts = []; new PerformanceObserver(l => l.getEntries().forEach("
            "e => e.hadRecentInput || shifts.push(e.value))).observe("
            "{type: 'layout-shift', buffered: true})"
        )
        visit = Visit(page)
        for address in ("/", "/movie/1", "/you", "/behind"):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            shift = sum(json.loads(page.evaluate("JSON.stringify(shifts)")))
            assert shift < 0.02, address
        visit.arrive()


def test_colours_can_be_chosen_and_stay(browser: Browser, service: Service) -> None:
    with opened(browser, service.address, color_scheme="dark") as page:
        page.goto("/")
        ground = "getComputedStyle(document.documentElement).backgroundColor"
        dark = page.evaluate(ground)
        page.get_by_role("button", name="Colours").click()
        light = page.evaluate(ground)
        assert light != dark
        page.reload()
        expect(page.get_by_role("button", name="Colours: Light. Change")).to_be_visible()
        assert page.evaluate(ground) == light
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Colours").click()
        assert page.evaluate(ground) == dark
