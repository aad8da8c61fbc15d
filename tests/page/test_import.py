"""A visitor brings ratings from another service."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.page.browser import PHONE, open_page
from tests.page.test_accessibility import assert_accessible
from tests.page.test_visits import fits_window
from tests.page.visitor import Visitor
from tests.service.conftest import Service

TABLE = """title,year,rating
"Shawshank Redemption, The",1994,5
The Matrix,1999,4
Nothing Like It,1950,1
"""

#: A diary of Letterboxd: the second movie was watched and not rated.
DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2024-01-02,The Matrix,1999,https://boxd.it/1,4,,,2024-01-01
2024-01-02,Toy Story,1995,https://boxd.it/2,,,,2024-01-01
"""


def test_file_is_matched_corrected_and_imported(
    browser: Browser, service: Service, tmp_path: Path
) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text(TABLE)
    with open_page(browser, service.address) as page:
        visitor = Visitor(page)
        page.goto("/you")
        page.get_by_label("Choose a file, or drop it here").set_input_files(file)
        expect(page.get_by_text("CSV: 2 ratings matched")).to_be_visible()
        expect(page.get_by_text("Nothing Like It (1950)")).to_be_visible()
        # A sure match can be left out again.
        page.get_by_text("Matched (2)").click()
        page.get_by_label("Movie for The Matrix").select_option("")
        page.get_by_role("button", name="Rate 1 movie").click()
        expect(page.get_by_text("1 rating is imported.")).to_be_visible()
        expect(visitor.heading("1 rating")).to_be_visible()
        visitor.wait_until_sent()
        stored = visitor.stored()
    with service.client() as api:
        params = {"user_id": stored["anonymousId"]}
        (rating,) = api.get("/ratings", params=params).json()["ratings"]
    assert rating["movie_id"] == stored["ratings"][0]["film"]["id"]
    assert rating["stars"] == 5


def test_file_is_imported_by_keyboard_on_a_phone(
    browser: Browser, service: Service, axe: str, tmp_path: Path
) -> None:
    file = tmp_path / "diary.csv"
    file.write_text(DIARY)
    with open_page(browser, service.address, PHONE) as page:
        visitor = Visitor(page)
        chooser = page.get_by_label("Choose a file, or drop it here")
        # Listens before the view opens, because Chromium starts to report choosers with a delay.
        with page.expect_file_chooser() as opened:
            page.goto("/you")
            chooser.focus()
            expect(chooser).to_be_focused()
            page.keyboard.press("Enter")
        opened.value.set_files(file)
        take_over = page.get_by_role("button", name="Rate 1 movie")
        expect(take_over).to_be_visible()
        expect(page.get_by_text("1 seen without a rating")).to_be_visible()
        # The matches are opened by keyboard, too.
        page.get_by_text("Matched (2)").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_label("Movie for The Matrix")).to_be_visible()
        assert_accessible(page, axe, "import")
        assert fits_window(page)
        take_over.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("1 rating is imported.")).to_be_visible()
        expect(chooser).to_be_focused()
        expect(visitor.heading("Seen")).to_be_visible()
        visitor.wait_until_sent()
        user = visitor.stored()["anonymousId"]
    with service.client() as api:
        # What was only seen is kept in the service, too, and leaves the lists.
        (event,) = api.get("/events", params={"user_id": user}).json()["events"]
        assert (event["movie_id"], event["event"]) == (1, "seen")
        items = api.post("/recommend", json={"user_id": user, "top_k": 100}).json()["items"]
        assert items[0]["source"] == "model"
        assert 1 not in [item["movie_id"] for item in items]
