"""Friends bring their tastes together by a link whose fragment holds the ratings."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.test_accessibility import assert_accessible
from tests.page.test_visits import MATRIX, TOY_STORY, fits_window
from tests.page.visitor import Visitor
from tests.service.conftest import Service

_STARS = re.compile(r"[0-5]\.[0-9] stars expected")


def invite(browser: Browser, service: Service) -> tuple[str, int]:
    """Return the link of a visitor who has rated a movie, and the visitor's number."""
    with open_page(browser, service.address, DESKTOP) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        visitor.search(*TOY_STORY[:2])
        visitor.rate_in_dialog(5)
        page.get_by_role("link", name="Watch together").click()
        link = page.get_by_label("Link to send").input_value()
        # The own link, opened by oneself, is no friend's.
        page.goto(link)
        expect(visitor.heading("Something for all of you")).to_be_visible()
        expect(visitor.heading("For the two of you")).to_have_count(0)
        visitor.wait_until_sent()
        return link, visitor.stored()["anonymousId"]


def test_friend_opens_the_link_on_a_phone_and_gets_a_list_for_two(
    browser: Browser, service: Service, axe: str
) -> None:
    link, inviter = invite(browser, service)
    address, _, fragment = link.partition("#")
    assert address == f"{service.address}/together"
    assert fragment == f"with={TOY_STORY[2]}-a"
    requests: list[Request] = []
    with open_page(browser, service.address, PHONE) as page:
        page.on("request", lambda request: requests.append(request))
        visitor = Visitor(page)
        page.goto(link)
        expect(page.get_by_text("A friend has shared their taste with you.")).to_be_visible()
        expect(visitor.cards).to_have_count(0)
        visitor.search(*MATRIX[:2])
        visitor.rate_in_dialog(4)
        expect(visitor.heading("For the two of you")).to_be_visible()
        visitor.wait_for_list()
        assert not {TOY_STORY[2], MATRIX[2]} & set(visitor.listed_ids())
        people = visitor.cards.first.get_by_role("listitem")
        expect(people).to_have_count(2)
        expect(people.first).to_contain_text("You")
        expect(people.last).to_contain_text("Friend")
        for person in (people.first, people.last):
            expect(person.get_by_text(_STARS)).to_have_count(1)
        assert_accessible(page, axe, "together")
        assert fits_window(page)
        # The next link has both tastes, the friend's first.
        passed_on = page.get_by_label("Link to send").input_value()
        assert passed_on.endswith("#with=1zf-8~1-a")
        # The link is copied by keyboard.
        page.get_by_label("Link to send").focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_text("The link is ")).to_be_visible()
        visitor.wait_until_sent()
        # A reload keeps the friend.
        page.reload()
        expect(visitor.heading("For the two of you")).to_be_visible()
        stored = visitor.stored()
    assert all("with=" not in request.url.partition("#")[0] for request in requests)
    assert all(str(inviter) not in (request.post_data or "") for request in requests)
    assert [rating["film"]["id"] for rating in stored["ratings"]] == [MATRIX[2]]


@pytest.mark.parametrize("fragment", ["", "#with=", "#with=<script>", "#with=1-zz"])
def test_link_without_a_taste_invites(browser: Browser, service: Service, fragment: str) -> None:
    with open_page(browser, service.address, PHONE) as page:
        page.goto(f"/together{fragment}")
        expect(page.get_by_text("Rate movies that you know, then send the link")).to_be_visible()
        expect(page.get_by_label("Link to send")).to_have_count(0)
