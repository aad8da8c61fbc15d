"""What the page says when something is not as it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.page.browser import opened
from tests.page.visit import Visit
from tests.service.conftest import Service


def refused(status: int, detail: str) -> dict[str, Any]:
    return {"status": status, "json": {"detail": detail}, "headers": {"Retry-After": "1"}}


def test_no_model_yet(browser: Browser, service: Service) -> None:
    with opened(browser, service.address, strict=False) as page:
        answers = [refused(503, "no model has been trained yet")]
        page.route(
            "**/popular*",
            lambda route: route.fulfill(**answers.pop()) if answers else route.continue_(),
        )
        page.goto("/")
        expect(page.get_by_text("There is no model yet")).to_be_visible()
        # It looks again by itself.
        expect(Visit(page).cards.first).to_be_visible()


def test_a_service_that_wants_a_key_keeps_the_person_here(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service.address, strict=False) as page:
        asked: list[str] = []

        def closed(route: Route) -> None:
            asked.append(route.request.method)
            route.fulfill(**refused(401, "a key is needed"))

        page.route("**/ratings*", closed)
        visit = Visit(page)
        visit.arrive()
        before = visit.films()
        visit.rate_in_wall(before[0], 5)
        before = visit.changed(before)
        visit.rate_in_wall(before[0], 4)
        visit.changed(before)
        assert len(visit.rated()) == 2
        assert asked == ["POST"]  # once refused, it is not tried with each rating
        expect(page.get_by_text("key")).to_have_count(0)


def test_offline_and_back(browser: Browser, service: Service) -> None:
    with opened(browser, service.address, strict=False) as page, service.client() as api:
        visit = Visit(page)
        visit.arrive()
        before = visit.films()
        page.context.set_offline(True)
        visit.rate_in_wall(before[0], 5)
        expect(page.get_by_text("You are offline.")).to_be_visible()
        page.context.set_offline(False)
        after = visit.changed(before)
        assert before[0] not in after
        page.wait_for_function("() => localStorage.getItem('moovier.outbox') === null")
        person = visit.kept()["anonymousId"]
        stored = api.get("/ratings", params={"user_id": person}).json()["ratings"]
        assert [one["movie_id"] for one in stored] == [before[0]]


def test_nothing_found(browser: Browser, service: Service) -> None:
    with opened(browser, service.address) as page:
        visit = Visit(page)
        visit.arrive()
        page.get_by_role("combobox").fill("zzzz qqqq")
        expect(page.locator(".search-found").get_by_text("No film is called")).to_be_visible()
        page.goto("/?genres=Western&from=2150")
        expect(page.get_by_text("No film is left that passes the filters.")).to_be_visible()
        page.get_by_role("button", name="Clear filters").last.click()
        expect(visit.cards.first).to_be_visible()
        page.goto("/?from=1999&to=1990")
        expect(page.get_by_text("The first year is after the last.")).to_be_visible()


@pytest.mark.parametrize(
    "kept", ["not JSON", "{}", '{"ratings": 5}', '{"ratings": [null]}', "null"]
)
def test_a_damaged_memory_is_a_new_person(browser: Browser, service: Service, kept: str) -> None:
    with opened(browser, service.address) as page:
        page.add_init_script(
            f"localStorage.getItem('moovier.person') ?? localStorage.setItem('moovier.person', "
            f"{json.dumps(kept)})"
        )
        Visit(page).arrive()
        assert Visit(page).rated() == []


def test_without_storage_it_works_and_says_so(browser: Browser, service: Service) -> None:
    with opened(browser, service.address) as page:
        page.add_init_script(
            "Storage.prototype.setItem = () => { throw new DOMException('full', "
            "'QuotaExceededError') }"
        )
        visit = Visit(page)
        visit.arrive()
        before = visit.films()
        visit.rate_in_wall(before[0], 5)
        visit.changed(before)
        page.get_by_role("link", name="You", exact=True).click()
        expect(page.get_by_text("This browser keeps nothing")).to_be_visible()
        expect(page.get_by_role("heading", name="1 rating")).to_be_visible()


def test_addresses_that_mean_nothing(browser: Browser, service: Service) -> None:
    with opened(browser, service.address, strict=False) as page:
        page.goto("/movie/999999999")
        expect(page.get_by_text("There is no such film here.")).to_be_visible()
        page.get_by_role("link", name="To the first page").click()
        expect(Visit(page).cards.first).to_be_visible()
