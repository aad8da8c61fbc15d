"""Visits from the first view to "Forget me": rating, filters, hidden movies, export, sign-in."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from moovier.settings import Settings
from tests.fakes.tmdb import V3_KEY, fake_tmdb
from tests.page.browser import DESKTOP, IMAGE_SERVER, PHONE, open_page
from tests.page.service_with_tmdb import WithTmdb
from tests.page.visitor import Visitor, click_stars
from tests.servers import free_port
from tests.service.conftest import Service, running_service

#: Movies of the real data set and of the sample: text to search for, title, MovieLens id.
TOY_STORY = ("toy story", "Toy Story", 1)
MATRIX = ("matri", "The Matrix", 2571)
#: Movies on a page of the first view's list.
PAGE_SIZE = 24
UNREACHABLE = "The service cannot be reached."


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_visitor_rates_filters_hides_returns_and_forgets(
    browser: Browser, service: Service, size: tuple[int, int]
) -> None:
    with open_page(browser, service.address, size) as page, service.client() as api:
        visitor = Visitor(page)
        rated = rate_three_movies(visitor)
        filter_and_load_all(visitor, api, rated)
        hidden = hide_two_and_undo_one(visitor)
        open_a_movie_and_go_back(visitor)
        reload_and_find_everything(visitor, rated, hidden)
        forget(visitor, api, rated)
        assert fits_window(page)


def rate_three_movies(visitor: Visitor) -> list[int]:
    """Rate by keyboard, in the dialog, and in the list; each rating changes the list.

    Returns the ids of the rated movies, oldest rating first.
    """
    visitor.open_discover()
    expect(visitor.heading("Popular now")).to_be_visible()
    listed = visitor.listed_ids()
    assert len(listed) == len(set(listed)) == PAGE_SIZE

    visitor.search(*TOY_STORY[:2])
    slider = visitor.page.get_by_role("slider", name="Your stars for Toy Story (1995)")
    expect(slider).to_be_focused()
    visitor.page.keyboard.press("End")
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_role("dialog")).to_have_count(0)
    listed = visitor.wait_for_other_list(listed)
    expect(visitor.heading("For you")).to_be_visible()
    assert TOY_STORY[2] not in listed

    visitor.search(*MATRIX[:2])
    visitor.rate_in_dialog(4.5)
    listed = visitor.wait_for_other_list(listed)
    assert MATRIX[2] not in listed

    third = listed[0]
    visitor.rate_in_list(third, 5)
    assert third not in visitor.wait_for_other_list(listed)

    rated = [TOY_STORY[2], MATRIX[2], third]
    assert visitor.rated_ids() == rated
    assert [rating["stars"] for rating in visitor.stored()["ratings"]] == [5, 4.5, 5]
    expect(visitor.page.get_by_text("Because you liked").first).to_be_visible()
    expect(visitor.page.locator(".expected").first).to_be_visible()
    return rated


def filter_and_load_all(visitor: Visitor, api: httpx.Client, rated: list[int]) -> None:
    """Load a filtered list to its end: it has each matching movie once."""
    before = visitor.listed_ids()
    visitor.page.get_by_role("button", name="Western", exact=True).click()
    listed = visitor.wait_for_other_list(before)
    visitor.page.get_by_label("To", exact=True).fill("1995")
    visitor.wait_for_other_list(listed)
    expect(visitor.page).to_have_url("/?genres=Western&to=1995")
    listed = visitor.load_all()
    assert len(listed) == len(set(listed))
    assert set(listed) == matching_ids(api, genres="Western", year_to="1995") - set(rated)
    assert len(listed) > PAGE_SIZE
    visitor.page.get_by_role("button", name="Clear filters").click()
    assert visitor.wait_for_other_list(listed) == before


def matching_ids(api: httpx.Client, **filters: str) -> set[int]:
    """Return the ids of all movies that match the filters, by the API."""
    movie_ids: set[int] = set()
    cursor: dict[str, str] = {}
    while True:
        answer = api.get("/movies", params={**filters, "top_k": "100", **cursor}).json()
        movie_ids |= {item["movie_id"] for item in answer["items"]}
        if answer["next"] is None:
            return movie_ids
        cursor = {"cursor": answer["next"]}


def hide_two_and_undo_one(visitor: Visitor) -> list[int]:
    """Hide two movies, and undo the second; return the ids of the hidden ones."""
    seen, not_for_me = visitor.listed_ids()[1:3]
    title = visitor.card(seen).locator("h3").inner_text()
    for movie_id, action in ((seen, "Seen it"), (not_for_me, "Not for me")):
        card = visitor.card(movie_id)
        card.hover()
        card.get_by_role("button", name=action).click()
        expect(card).to_have_count(0)
    visitor.page.get_by_role("button", name="Undo").click()
    expect(visitor.card(not_for_me)).to_have_count(1)
    assert [movie["id"] for movie in visitor.stored()["seen"]] == [seen]
    assert visitor.stored()["seen"][0]["title"] == title
    assert visitor.stored()["notForMe"] == []
    return [seen]


def open_a_movie_and_go_back(visitor: Visitor) -> None:
    """Open a movie's view and go back: the list is unchanged."""
    before = visitor.listed_ids()
    link = visitor.cards.nth(2).get_by_role("heading").get_by_role("link")
    title = link.inner_text()
    link.click()
    expect(visitor.page.get_by_role("heading", level=1, name=title)).to_be_focused()
    expect(visitor.heading("Similar movies")).to_be_visible()
    expect(visitor.cards.first).to_be_visible()
    assert before[2] not in visitor.listed_ids()
    visitor.page.go_back()
    expect(visitor.heading("For you")).to_be_visible()
    visitor.wait_for_list()
    assert visitor.listed_ids() == before


def reload_and_find_everything(visitor: Visitor, rated: list[int], hidden: list[int]) -> None:
    """Reload the page: ratings and list are unchanged, hidden movies stay hidden."""
    before = visitor.listed_ids()
    visitor.page.reload()
    expect(visitor.heading("You rated")).to_be_visible()
    visitor.wait_for_list()
    assert visitor.rated_ids() == rated
    # The end differs: the new page has another movie in place of the hidden one.
    assert visitor.listed_ids()[:20] == before[:20]
    assert not set(visitor.listed_ids()) & {*rated, *hidden}


def forget(visitor: Visitor, api: httpx.Client, rated: list[int]) -> None:
    """Press "Forget me": the ratings are deleted in the browser and in the service."""
    user_id = visitor.stored()["anonymousId"]
    assert user_id >= 10**9
    # Ratings of the same second have no order.
    request_ids = {
        rating["movie_id"]: rating["request_id"] for rating in stored_ratings(api, user_id)
    }
    assert set(request_ids) == set(rated)
    searched, _, listed = rated
    assert request_ids[searched] is None
    assert request_ids[listed]
    visitor.page.get_by_role("link", name="You", exact=True).click()
    visitor.page.get_by_role("button", name="Forget me").click()
    visitor.page.get_by_role("button", name="Yes, forget me").click()
    expect(visitor.page.get_by_text("Your data is deleted.")).to_be_visible()
    assert visitor.stored()["anonymousId"] != user_id
    assert visitor.rated_ids() == []
    assert stored_ratings(api, user_id) == []
    visitor.page.get_by_role("link", name="Discover").click()
    expect(visitor.heading("Popular now")).to_be_visible()
    expect(visitor.heading("You rated")).to_have_count(0)


def stored_ratings(api: httpx.Client, user_id: int) -> list[dict[str, object]]:
    """Return the ratings that the service has stored of a user."""
    ratings: list[dict[str, object]] = api.get("/ratings", params={"user_id": user_id}).json()[
        "ratings"
    ]
    return ratings


def fits_window(page: Page) -> bool:
    """Return whether nothing overflows the window sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


def test_order_of_the_list_is_chosen_and_kept_in_the_address(
    browser: Browser, service: Service
) -> None:
    with open_page(browser, service.address, PHONE) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        popular = visitor.listed_ids()
        page.get_by_role("button", name="Trending").click()
        expect(visitor.heading("Trending")).to_be_visible()
        assert visitor.wait_for_other_list(popular)
        assert parse_qs(urlsplit(page.url).query) == {"order": ["trending"]}

        visitor.search(*TOY_STORY[:2])
        visitor.rate_in_dialog(5)
        expect(visitor.heading("For you")).to_be_visible()
        visitor.wait_for_list()
        best = visitor.listed_ids()
        page.get_by_role("button", name="More variety").click()
        varied = visitor.wait_for_other_list(best)
        page.reload()
        visitor.wait_for_list()
        assert visitor.listed_ids()[:PAGE_SIZE] == varied[:PAGE_SIZE]
        assert fits_window(page)


def test_page_survives_a_service_restart_and_a_broken_tmdb(
    browser: Browser, trained: Settings
) -> None:
    port = free_port()
    with contextlib.ExitStack() as stack:
        tmdb = stack.enter_context(fake_tmdb())
        tmdb.status, tmdb.delay_s = 500, 0.2
        broken_tmdb = {"TMDB_API_KEY": V3_KEY, "MOOVIER_TMDB_URL": tmdb.address}
        page = stack.enter_context(open_page(browser, f"http://127.0.0.1:{port}", strict=False))
        visitor = Visitor(page)
        with running_service(trained, port=port, **broken_tmdb):
            rated = rate_three_movies(visitor)
        assert tmdb.requested

        # Without the service, the list and the new rating stay.
        fourth = visitor.listed_ids()[0]
        visitor.rate_in_list(fourth, 4)
        expect(page.get_by_text(UNREACHABLE)).to_be_visible()
        assert len(visitor.listed_ids()) == PAGE_SIZE
        rated.append(fourth)
        assert visitor.rated_ids() == rated

        # The page recovers without a click when the service is back.
        with running_service(trained, port=port, **broken_tmdb) as service:
            expect(page.get_by_text(UNREACHABLE)).to_have_count(0)
            expect(visitor.card(fourth)).to_have_count(0)
            reload_and_find_everything(visitor, rated, [])
            visitor.wait_until_sent()
            with service.client() as api:
                stored = stored_ratings(api, visitor.stored()["anonymousId"])
            assert {rating["movie_id"] for rating in stored} == set(rated)


def test_tmdb_image_covers_drawn_poster_unless_it_is_missing(
    browser: Browser, with_tmdb: WithTmdb
) -> None:
    pixel = Path(__file__).with_name("pixel.png").read_bytes()
    with open_page(browser, with_tmdb.address, strict=False) as page:
        image_urls: list[str] = []

        def send_pixel(route: Route) -> None:
            image_urls.append(route.request.url)
            route.fulfill(body=pixel, content_type="image/png")

        page.route(f"{IMAGE_SERVER}**", send_pixel)
        visitor = Visitor(page)
        visitor.open_discover()
        expect(visitor.cards.first.locator("img")).to_be_visible()
        assert image_urls[0].startswith(f"{IMAGE_SERVER}t/p/w342/")

        page.unroute(f"{IMAGE_SERVER}**")
        page.route(f"{IMAGE_SERVER}**", lambda route: route.abort())
        page.reload()
        expect(visitor.cards.first.locator("svg").first).to_be_visible()
        expect(visitor.cards.first.locator("img")).to_have_count(0)


def test_list_request_carries_ratings_with_timestamps(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        listed = visitor.listed_ids()
        for text, title, _ in (MATRIX, TOY_STORY):
            visitor.search(text, title)
            with page.expect_request("**/recommend") as request:
                visitor.rate_in_dialog(4)
            listed = visitor.wait_for_other_list(listed)
        body = json.loads(request.value.post_data or "")
        ratings = [(rating["movie_id"], rating["stars"]) for rating in body["ratings"]]
        assert ratings == [(MATRIX[2], 4), (TOY_STORY[2], 4)]
        timestamps = [rating["timestamp"] for rating in body["ratings"]]
        assert all(abs(timestamp - time.time()) < 600 for timestamp in timestamps)
        assert body["user_id"] == visitor.stored()["anonymousId"]


def test_popular_list_names_its_window(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page:
        Visitor(page).open_discover()
        days = httpx.get(f"{service.address}/popular", trust_env=False).json()["days"]
        window = "of all time" if days is None else f"of the last {days:,} day"
        expect(page.get_by_text(f"The most rated movies {window}")).to_be_visible()


def test_exported_file_restores_the_visitor_and_a_bad_file_changes_nothing(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        visitor.open_discover()
        visitor.search(*TOY_STORY[:2])
        visitor.rate_in_dialog(3.5)
        page.goto("/you")
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        file = tmp_path / "ratings.json"
        download.value.save_as(file)
        exported = visitor.stored()
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        page.goto("/you")
        page.get_by_label("Import").set_input_files(file)
        expect(page.get_by_text("Your data is imported.")).to_be_visible()
        assert visitor.stored() == exported
        slider = page.locator(".rows").get_by_role("slider")
        click_stars(slider, 2)
        expect(slider).to_have_attribute("aria-valuenow", "2")
        file.write_text('{"ratings": [{"film": {"id": 1, "title": "x"}, "stars": 77}]}')
        page.get_by_label("Import").set_input_files(file)
        expect(page.get_by_text("This is not a file that Moovier exported.")).to_be_visible()
        assert visitor.rated_ids() == [TOY_STORY[2]]


def test_forgetting_a_movielens_user_deletes_only_ratings_given_in_the_browser(
    browser: Browser, service: Service
) -> None:
    with open_page(browser, service.address) as page, service.client() as api:
        visitor = Visitor(page)
        page.goto("/you")
        page.get_by_label("User id").fill("0")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_have_text(
            "The user id must be a whole number of 1 or more."
        )
        page.get_by_label("User id").fill("2")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("You are signed in as user 2.")).to_be_visible()

        page.get_by_role("link", name="Discover").click()
        expect(visitor.heading("For you")).to_be_visible()
        visitor.wait_for_list()
        before = recommended_ids(api, user_id=2)
        assert visitor.listed_ids()[:PAGE_SIZE] == before
        visitor.rate_in_list(before[0], 5)
        visitor.wait_for_other_list(before)
        visitor.wait_until_sent()

        deletions: list[str] = []

        def record_deletion(request: Request) -> None:
            if request.method == "DELETE":
                deletions.append(urlsplit(request.url).query)

        page.on("request", record_deletion)
        page.goto("/you")
        page.get_by_role("button", name="Forget me").click()
        page.get_by_role("button", name="Yes, forget me").click()
        expect(page.get_by_text("Your data is deleted.")).to_be_visible()
        of_user = [query for query in map(parse_qs, deletions) if query["user_id"] == ["2"]]
        assert of_user == [{"user_id": ["2"], "movie_id": [str(before[0])]}]
        assert recommended_ids(api, user_id=2)[:5] == before[:5]


def recommended_ids(api: httpx.Client, user_id: int) -> list[int]:
    """Return the ids of a user's recommended movies, by the API."""
    answer = api.post("/recommend", json={"user_id": user_id, "top_k": PAGE_SIZE})
    return [item["movie_id"] for item in answer.json()["items"]]
