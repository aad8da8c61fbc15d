"""The page's messages and behaviour when the service, the browser or the URL is at fault."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.page.browser import open_page
from tests.page.visitor import Visitor
from tests.service.conftest import Service


def error_answer(status: int, detail: str) -> dict[str, Any]:
    return {"status": status, "json": {"detail": detail}, "headers": {"Retry-After": "1"}}


def test_page_waits_for_the_first_model(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address, strict=False) as page:
        answers = [error_answer(503, "no model has been trained yet")]
        page.route(
            "**/popular*",
            lambda route: route.fulfill(**answers.pop()) if answers else route.continue_(),
        )
        page.goto("/")
        expect(page.get_by_text("There is no model yet")).to_be_visible()
        # The page tries again without a click.
        expect(Visitor(page).cards.first).to_be_visible()


def test_ratings_stay_in_the_browser_when_the_service_requires_a_key(
    browser: Browser, service: Service
) -> None:
    with open_page(browser, service.address, strict=False) as page:
        methods: list[str] = []

        def refuse(route: Route) -> None:
            methods.append(route.request.method)
            route.fulfill(**error_answer(401, "a key is needed"))

        page.route("**/ratings*", refuse)
        visitor = Visitor(page)
        visitor.open_discover()
        before = visitor.listed_ids()
        visitor.rate_in_list(before[0], 5)
        before = visitor.wait_for_other_list(before)
        visitor.rate_in_list(before[0], 4)
        visitor.wait_for_other_list(before)
        assert len(visitor.rated_ids()) == 2
        assert methods == ["POST"]  # After a refusal, no further rating is sent.
        expect(page.get_by_text("key")).to_have_count(0)


def test_rating_given_offline_is_sent_later(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address, strict=False) as page, service.client() as api:
        visitor = Visitor(page)
        visitor.open_discover()
        before = visitor.listed_ids()
        page.context.set_offline(True)
        visitor.rate_in_list(before[0], 5)
        expect(page.get_by_text("You are offline.")).to_be_visible()
        page.context.set_offline(False)
        after = visitor.wait_for_other_list(before)
        assert before[0] not in after
        visitor.wait_until_sent()
        user_id = visitor.stored()["anonymousId"]
        stored = api.get("/ratings", params={"user_id": user_id}).json()["ratings"]
        assert [rating["movie_id"] for rating in stored] == [before[0]]


def test_empty_search_and_empty_list_say_so(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        page.get_by_role("combobox").fill("zzzz qqqq")
        expect(
            page.locator(".search-results").get_by_text("No movie matches “zzzz qqqq”.")
        ).to_be_visible()
        page.goto("/?genres=Western&from=2150")
        expect(page.get_by_text("No movie matches the filters.")).to_be_visible()
        page.get_by_role("button", name="Clear filters").last.click()
        expect(visitor.cards.first).to_be_visible()
        page.goto("/?from=1999&to=1990")
        expect(page.get_by_text("The first year is after the last year.")).to_be_visible()


@pytest.mark.parametrize(
    "stored", ["not JSON", "{}", '{"ratings": 5}', '{"ratings": [null]}', "null"]
)
def test_damaged_storage_starts_a_new_visitor(
    browser: Browser, service: Service, stored: str
) -> None:
    with open_page(browser, service.address) as page:
        page.add_init_script(
            f"localStorage.getItem('moovier.person') ?? localStorage.setItem('moovier.person', "
            f"{json.dumps(stored)})"
        )
        visitor = Visitor(page)
        visitor.open_discover()
        assert visitor.rated_ids() == []
        assert visitor.stored()["anonymousId"] >= 10**9


def test_page_works_without_storage_and_warns(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        page.add_init_script(
            "Storage.prototype.setItem = () => { throw new DOMException('full', "
            "'QuotaExceededError') }"
        )
        visitor = Visitor(page)
        visitor.open_discover()
        before = visitor.listed_ids()
        visitor.rate_in_list(before[0], 5)
        visitor.wait_for_other_list(before)
        page.get_by_role("link", name="You", exact=True).click()
        expect(page.get_by_text("This browser stores nothing")).to_be_visible()
        expect(page.get_by_role("heading", name="1 rating")).to_be_visible()


def test_unknown_movie_is_not_found(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address, strict=False) as page:
        page.goto("/movie/999999999")
        expect(page.get_by_text("Moovier does not know this movie.")).to_be_visible()
        page.get_by_role("link", name="Go to the first page").click()
        expect(Visitor(page).cards.first).to_be_visible()
