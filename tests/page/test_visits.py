"""Somebody comes, says what they like, finds something to watch, comes back and goes for good."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from moovier.settings import Settings
from tests.fakes.tmdb import V3_KEY, fake_tmdb
from tests.page.browser import NARROW, WIDE, opened
from tests.page.visit import Visit, press
from tests.servers import free_port
from tests.service.conftest import Service, running_service

#: Known to the real data set and to the sample: words to type, title, MovieLens id.
TOY_STORY = ("toy story", "Toy Story", 1)
MATRIX = ("matri", "The Matrix", 2571)


def taste(visit: Visit) -> list[int]:
    """Arrive and rate three; each changes the list. Returns what was rated, oldest first."""
    visit.arrive()
    expect(visit.heading("Popular now")).to_be_visible()
    shown = visit.films()
    assert len(shown) == len(set(shown)) == 24
    for number, (words, title, film) in enumerate((TOY_STORY, MATRIX)):
        visit.find(words, title)
        if number:
            visit.answer(4.5)
        else:  # by keyboard alone
            expect(
                visit.page.get_by_role("slider", name="Your stars for Toy Story (1995)")
            ).to_be_focused()
            visit.page.keyboard.press("End")
            visit.page.keyboard.press("Enter")
            expect(visit.page.get_by_role("dialog")).to_have_count(0)
        shown = visit.changed(shown)
        expect(visit.heading("For you")).to_be_visible()
        assert film not in shown
    third = shown[0]
    visit.rate_in_wall(third, 5)
    shown = visit.changed(shown)
    assert third not in shown
    assert visit.rated() == [1, 2571, third]
    assert [one["stars"] for one in visit.kept()["ratings"]] == [5, 4.5, 5]
    expect(visit.page.get_by_text("Because you liked").first).to_be_visible()
    expect(visit.page.locator(".expected").first).to_be_visible()
    return [1, 2571, third]


def narrowed(visit: Visit, api: httpx.Client, rated: list[int]) -> None:
    """Filter, page to the end without a repeat, and miss nothing."""
    before = visit.films()
    visit.page.get_by_role("button", name="Western", exact=True).click()
    shown = visit.changed(before)
    visit.page.get_by_label("To", exact=True).fill("1995")
    visit.changed(shown)
    expect(visit.page).to_have_url("/?genres=Western&to=1995")
    found = visit.to_the_end()
    assert len(found) == len(set(found))
    assert set(found) == matching(api, genres="Western", year_to="1995") - set(rated)
    assert len(found) > 24
    visit.page.get_by_role("button", name="Clear filters").click()
    assert visit.changed(found) == before


def matching(api: httpx.Client, **wanted: str) -> set[int]:
    """Every film that passes, by the API's own list."""
    films: set[int] = set()
    cursor = None
    while True:
        answer = api.get("/movies", params={**wanted, "top_k": "100", **(cursor or {})}).json()
        films |= {item["movie_id"] for item in answer["items"]}
        if answer["next"] is None:
            return films
        cursor = {"cursor": answer["next"]}


def leave_out(visit: Visit) -> list[int]:
    """Seen one, not for me the other: both go, and can be had back."""
    seen, never = visit.films()[1:3]
    title = visit.page.locator(f".card[data-film='{seen}'] h3").inner_text()
    for film, action in ((seen, "Seen it"), (never, "Not for me")):
        card = visit.page.locator(f".card[data-film='{film}']")
        card.hover()
        card.get_by_role("button", name=action).click()
        expect(card).to_have_count(0)
    visit.page.get_by_role("button", name="Undo").click()
    expect(visit.page.locator(f".card[data-film='{never}']")).to_have_count(1)
    assert [film["id"] for film in visit.kept()["seen"]] == [seen]
    assert visit.kept()["seen"][0]["title"] == title
    assert visit.kept()["notForMe"] == []
    return [seen]


def look_closer(visit: Visit) -> None:
    """A film's own page, and back to the list as it was."""
    before = visit.films()
    link = visit.cards.nth(2).get_by_role("heading").get_by_role("link")
    title = link.inner_text()
    link.click()
    heading = visit.page.get_by_role("heading", level=1, name=title)
    expect(heading).to_be_focused()
    expect(visit.heading("If you like this one")).to_be_visible()
    expect(visit.cards.first).to_be_visible()
    assert before[2] not in visit.films()
    visit.page.go_back()
    expect(visit.heading("For you")).to_be_visible()
    visit.drawn()
    assert visit.films() == before


def still_me(visit: Visit, rated: list[int], left_out: list[int]) -> None:
    before = visit.films()
    visit.page.reload()
    expect(visit.heading("You rated")).to_be_visible()
    visit.drawn()
    assert visit.rated() == rated
    assert visit.films()[:20] == before[:20]
    assert not set(visit.films()) & {*rated, *left_out}


def forget_me(visit: Visit, api: httpx.Client, rated: list[int]) -> None:
    """Gone here and there."""
    person = visit.kept()["anonymousId"]
    assert person >= 10**9
    stored = api.get("/ratings", params={"user_id": person}).json()["ratings"]
    # Ratings of one second have no order.
    lists = {one["movie_id"]: one["request_id"] for one in stored}
    assert set(lists) == set(rated)
    searched, _, in_a_list = rated
    assert lists[searched] is None
    assert lists[in_a_list]
    visit.page.get_by_role("link", name="You", exact=True).click()
    visit.page.get_by_role("button", name="Forget me").click()
    visit.page.get_by_role("button", name="Yes, forget me").click()
    expect(visit.page.get_by_text("You are forgotten.")).to_be_visible()
    assert visit.kept()["anonymousId"] != person
    assert visit.rated() == []
    assert api.get("/ratings", params={"user_id": person}).json()["ratings"] == []
    visit.page.get_by_role("link", name="Discover").click()
    expect(visit.heading("Popular now")).to_be_visible()
    expect(visit.heading("You rated")).to_have_count(0)


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["desk", "phone"])
def test_an_evening(browser: Browser, service: Service, size: tuple[int, int]) -> None:
    with opened(browser, service.address, size) as page, service.client() as api:
        visit = Visit(page)
        rated = taste(visit)
        narrowed(visit, api, rated)
        left_out = leave_out(visit)
        look_closer(visit)
        still_me(visit, rated, left_out)
        forget_me(visit, api, rated)
        fits(page)


def fits(page: Page) -> None:
    """Nothing sticks out sideways."""
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_service_restarts_in_between_and_tmdb_is_broken(
    browser: Browser, trained: Settings
) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        tmdb = stack.enter_context(fake_tmdb())
        tmdb.status, tmdb.delay_s = 500, 0.2
        broken = {"TMDB_API_KEY": V3_KEY, "MOOVIER_TMDB_URL": tmdb.address}
        page = stack.enter_context(opened(browser, f"http://127.0.0.1:{port}", strict=False))
        visit = Visit(page)
        with running_service(trained, port=port, **broken):
            rated = taste(visit)
        assert tmdb.asked
        # Away: what is rated now is kept, the list stays, and the page says what is wrong.
        fourth = visit.films()[0]
        visit.rate_in_wall(fourth, 4)
        expect(page.get_by_text("The service cannot be reached.")).to_be_visible()
        assert len(visit.films()) == 24
        rated.append(fourth)
        assert visit.rated() == rated
        with running_service(trained, port=port, **broken) as service, service.client() as api:
            # By itself, as soon as the service is back.
            expect(page.get_by_text("The service cannot be reached.")).to_have_count(0)
            expect(page.locator(f".card[data-film='{fourth}']")).to_have_count(0)
            still_me(visit, rated, [])
            person = visit.kept()["anonymousId"]
            page.wait_for_function("() => localStorage.getItem('moovier.outbox') === null")
            stored = api.get("/ratings", params={"user_id": person}).json()["ratings"]
            assert {one["movie_id"] for one in stored} == set(rated)


def test_tmdbs_images_cover_the_drawn_posters(browser: Browser, trained: Settings) -> None:
    """And where one is missing, the drawn one stays."""
    pixel = Path(__file__).with_name("pixel.png").read_bytes()
    with (
        fake_tmdb() as tmdb,
        running_service(trained, TMDB_API_KEY=V3_KEY, MOOVIER_TMDB_URL=tmdb.address) as service,
        opened(browser, service.address, strict=False) as page,
    ):
        asked: list[str] = []

        def send_pixel(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(body=pixel, content_type="image/png")

        page.route("https://image.tmdb.org/**", send_pixel)
        visit = Visit(page)
        visit.arrive()
        expect(visit.cards.first.locator("img")).to_be_visible()
        assert asked[0].startswith("https://image.tmdb.org/t/p/w342/")
        page.unroute("https://image.tmdb.org/**")
        page.route("https://image.tmdb.org/**", lambda route: route.abort())
        page.reload()
        expect(visit.cards.first.locator("svg").first).to_be_visible()
        expect(visit.cards.first.locator("img")).to_have_count(0)


def test_ratings_reach_the_service_with_their_moments(browser: Browser, service: Service) -> None:
    with opened(browser, service.address) as page:
        visit = Visit(page)
        visit.arrive()
        shown = visit.films()
        for words, title, _ in (MATRIX, TOY_STORY):
            visit.find(words, title)
            with page.expect_request("**/recommend") as asking:
                visit.answer(4)
            shown = visit.changed(shown)
        body = json.loads(asking.value.post_data or "")
        assert [(one["movie_id"], one["stars"]) for one in body["ratings"]] == [(2571, 4), (1, 4)]
        moments = [one["timestamp"] for one in body["ratings"]]
        assert all(abs(moment - time.time()) < 600 for moment in moments)
        assert body["user_id"] == visit.kept()["anonymousId"]


def test_popular_films_say_of_which_time(browser: Browser, service: Service) -> None:
    with opened(browser, service.address) as page:
        visit = Visit(page)
        visit.arrive()
        days = httpx.get(f"{service.address}/popular", trust_env=False).json()["days"]
        text = "of all time" if days is None else f"in the last {days:,} day"
        expect(page.get_by_text(f"Most rated {text}")).to_be_visible()


def test_take_yourself_along(browser: Browser, service: Service, tmp_path: Path) -> None:
    with opened(browser, service.address) as page:
        visit = Visit(page)
        visit.arrive()
        visit.find(*TOY_STORY[:2])
        visit.answer(3.5)
        page.goto("/you")
        with page.expect_download() as loading:
            page.get_by_role("button", name="Export").click()
        file = tmp_path / "me.json"
        loading.value.save_as(file)
        before = visit.kept()
    with opened(browser, service.address) as page:
        visit = Visit(page)
        page.goto("/you")
        page.get_by_label("Import").set_input_files(file)
        expect(page.get_by_text("You are back.")).to_be_visible()
        assert visit.kept() == before
        press(page.locator(".rows").get_by_role("slider"), 2)
        expect(page.locator(".rows").get_by_role("slider")).to_have_attribute("aria-valuenow", "2")
        file.write_text('{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 77}]}')
        page.get_by_label("Import").set_input_files(file)
        expect(page.get_by_text("none that was exported here")).to_be_visible()
        assert len(visit.rated()) == 1


def test_a_movielens_user_signs_in_and_keeps_what_the_data_has(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service.address) as page, service.client() as api:
        visit = Visit(page)
        page.goto("/you")
        page.get_by_label("User id").fill("0")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text("A user id is a whole number from 1 on.")
        page.get_by_label("User id").fill("2")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("You are signed in as user 2.")).to_be_visible()
        page.get_by_role("link", name="Discover").click()
        expect(visit.heading("For you")).to_be_visible()
        visit.drawn()
        expected = api.post("/recommend", json={"user_id": 2, "top_k": 24}).json()["items"]
        assert visit.films()[:24] == [item["movie_id"] for item in expected]
        visit.rate_in_wall(visit.films()[0], 5)
        visit.changed([item["movie_id"] for item in expected])
        page.wait_for_function("() => localStorage.getItem('moovier.outbox') === null")
        with page.expect_request(lambda asked: asked.method == "DELETE") as asking:
            page.goto("/you")
            page.get_by_role("button", name="Forget me").click()
            page.get_by_role("button", name="Yes, forget me").click()
            expect(page.get_by_text("You are forgotten.")).to_be_visible()
        assert f"user_id={visit.kept()['userId'] or 'x'}" not in asking.value.url
        # The user's own ratings count as before.
        after = api.post("/recommend", json={"user_id": 2, "top_k": 24}).json()["items"]
        assert [item["movie_id"] for item in after][:5] == [item["movie_id"] for item in expected][
            :5
        ]
