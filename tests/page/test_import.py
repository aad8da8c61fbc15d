"""A visitor brings ratings from another service."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.page.browser import open_page
from tests.page.visitor import Visitor
from tests.service.conftest import Service

TABLE = """title,year,rating
"Shawshank Redemption, The",1994,5
The Matrix,1999,4
Nothing Like It,1950,1
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
