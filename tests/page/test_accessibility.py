"""Accessibility: axe-core's rules on all views, use by keyboard, stable layout, and themes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.test_visits import TOY_STORY, fits_window
from tests.page.visitor import Visitor
from tests.service.conftest import Service


def assert_accessible(page: Page, axe: str, view: str) -> None:
    """Fail on any violation of axe's rules and best practices, in light and in dark colours."""
    # Playwright injects the script in spite of the page's content security policy.
    page.evaluate(axe)
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert result["passes"], "axe has tested nothing"
        violations = [
            f"{view}, {colours}: {rule['id']}: {rule['help']}: {node['html'][:200]} "
            f"{node['failureSummary'][:300]}"
            for rule in result["violations"]
            for node in rule["nodes"][:3]
        ]
        assert violations == [], "\n".join(violations)


def discover(visitor: Visitor) -> None:
    visitor.open_discover()


def search_results(visitor: Visitor) -> None:
    visitor.page.get_by_role("combobox").fill(TOY_STORY[0])
    expect(visitor.page.get_by_role("option").first).to_be_visible()
    visitor.page.keyboard.press("ArrowDown")


def rate_dialog(visitor: Visitor) -> None:
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("dialog")).to_be_visible()


def personal_list(visitor: Visitor) -> None:
    visitor.rate_in_dialog(4.5)
    expect(visitor.heading("For you")).to_be_visible()
    expect(visitor.page.locator(".expected").first).to_be_visible()


def movie_page(visitor: Visitor) -> None:
    visitor.page.goto("/movie/1")
    expect(visitor.cards.first).to_be_visible()


def you(visitor: Visitor) -> None:
    visitor.page.goto("/you")
    visitor.page.get_by_role("button", name="Forget me").click()


def ops(visitor: Visitor) -> None:
    visitor.page.goto("/behind")
    expect(visitor.page.get_by_role("table").first).to_be_visible()
    visitor.page.get_by_label("Pasted JSON").check()


#: Each brings the page from the view of the step before into the view of its name.
STEPS: tuple[Callable[[Visitor], None], ...] = (
    discover,
    search_results,
    rate_dialog,
    personal_list,
    movie_page,
    you,
    ops,
)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_views_pass_axe_and_fit_the_window(
    browser: Browser, service: Service, axe: str, size: tuple[int, int]
) -> None:
    with open_page(browser, service.address, size) as page:
        visitor = Visitor(page)
        for step in STEPS:
            step(visitor)
            assert_accessible(page, axe, step.__name__)
            assert fits_window(page), step


def test_axe_reports_a_missing_title(browser: Browser, service: Service, axe: str) -> None:
    with open_page(browser, service.address) as page:
        Visitor(page).open_discover()
        page.evaluate("document.querySelector('main h1').remove(); document.title = ''")
        with pytest.raises(AssertionError, match="document-title"):
            assert_accessible(page, axe, "broken")


def test_movies_are_searched_and_rated_by_keyboard(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        visitor.open_discover()
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
        # Escape discards the stars that were not confirmed.
        assert visitor.rated_ids() == []
        before = visitor.listed_ids()
        card = visitor.cards.first.get_by_role("slider")
        card.focus()
        press("End")
        press("Enter")
        visitor.wait_for_other_list(before)
        # The rated card disappears, and the card in its place gets the focus.
        expect(visitor.cards.first.get_by_role("heading").get_by_role("link")).to_be_focused()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_layout_does_not_shift_while_loading(
    browser: Browser, service: Service, size: tuple[int, int]
) -> None:
    with open_page(browser, service.address, size) as page:
        page.add_init_script(
            "window.shifts = []; new PerformanceObserver(list => list.getEntries().forEach("
            "entry => entry.hadRecentInput || shifts.push(entry.value))).observe("
            "{type: 'layout-shift', buffered: true})"
        )
        visitor = Visitor(page)
        for address in ("/", "/movie/1", "/you", "/behind"):
            page.goto(address)
            page.wait_for_load_state("networkidle")
            shift = sum(json.loads(page.evaluate("JSON.stringify(shifts)")))
            assert shift < 0.02, address
        visitor.open_discover()


def test_chosen_theme_survives_a_reload(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address, color_scheme="dark") as page:
        page.goto("/")
        background = "getComputedStyle(document.documentElement).backgroundColor"
        dark = page.evaluate(background)
        page.get_by_role("button", name="Colours").click()
        light = page.evaluate(background)
        assert light != dark
        page.reload()
        expect(page.get_by_role("button", name="Colours: Light. Change")).to_be_visible()
        assert page.evaluate(background) == light
        page.emulate_media(color_scheme="light")
        page.get_by_role("button", name="Colours").click()
        assert page.evaluate(background) == dark
