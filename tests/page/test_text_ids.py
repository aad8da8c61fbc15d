"""The page with a data set whose users are UUIDs and whose movies are slugs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from moovier.jobs.retrain import retrain_all
from tests.dvc_checkout import new_project
from tests.fixtures import toy_movielens
from tests.page.browser import DESKTOP, PHONE, open_page
from tests.page.visitor import Visitor
from tests.servers import Server
from tests.service.conftest import Service, own_settings, running_service
from tests.text_ids import movie_text, user_text, with_texts

USER = user_text(1)
#: A movie whose slug has a comma, a question mark and a slash.
ODD, ODD_TITLE = movie_text(2), "Movie 2"


@pytest.fixture(scope="module")
def with_text_ids(
    mlflow: Server, built: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("page-text-ids")
    data, remote = with_texts(toy_movielens(folder / "texts")), folder / "remote"
    project = new_project(folder / "project")
    settings = own_settings(mlflow, folder / "home").model_copy(
        update={"data": str(data), "project": project, "dvc_remote": str(remote)}
    )
    config = {"families": ["ease", "taste"], "trials": 1, "workers": 1}
    assert retrain_all(config, lambda _: None, settings=settings)["promote"]
    with running_service(settings, MOOVIER_DATA=str(data)) as running:
        yield running


def ids_in_list(visitor: Visitor) -> set[str]:
    ids = visitor.cards.evaluate_all("cards => cards.map(card => card.dataset.movie)")
    return set(ids)


def own_rating(visitor: Visitor) -> Locator:
    return visitor.page.get_by_role("slider", name=f"Your stars for {ODD_TITLE} (1995)")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_visitor_finds_rates_and_opens_movies_with_text_ids(
    browser: Browser, with_text_ids: Service, size: tuple[int, int]
) -> None:
    with (
        open_page(browser, with_text_ids.address, size) as page,
        with_text_ids.client() as api,
    ):
        visitor = Visitor(page)
        visitor.open_discover()
        assert ids_in_list(visitor) <= {movie_text(movie) for movie in range(1, 41)}
        visitor.search("movie 2", ODD_TITLE)
        visitor.rate_in_dialog(5)
        expect(visitor.heading("For you")).to_be_visible()
        visitor.wait_for_list()
        assert ODD not in ids_in_list(visitor)
        assert [rating["film"]["id"] for rating in visitor.stored()["ratings"]] == [ODD]
        visitor.wait_until_sent()
        person = visitor.stored()["anonymousId"]
        stored = api.get("/ratings", params={"user_id": person}).json()["ratings"]
        assert [(rating["movie_id"], rating["stars"]) for rating in stored] == [(ODD, 5)]

        page.get_by_role("region", name="You rated").get_by_role("link", name=ODD_TITLE).click()
        expect(page.get_by_role("heading", level=1, name=ODD_TITLE)).to_be_visible()
        page.reload()
        expect(page.get_by_role("heading", level=1, name=ODD_TITLE)).to_be_visible()
        expect(own_rating(visitor)).to_have_attribute("aria-valuenow", "5")


def test_user_with_a_text_id_signs_in_and_rates(browser: Browser, with_text_ids: Service) -> None:
    with (
        open_page(browser, with_text_ids.address) as page,
        with_text_ids.client() as api,
    ):
        visitor = Visitor(page)
        page.goto("/you")
        page.get_by_label("User id").fill(USER)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text(f"You are signed in as user {USER}.")).to_be_visible()
        page.get_by_role("link", name="Discover").click()
        expect(visitor.heading("For you")).to_be_visible()
        visitor.wait_for_list()
        listed = visitor.cards.first.get_attribute("data-movie")
        visitor.cards.first.get_by_role("button", name="Seen it").click()
        expect(page.locator(f".card[data-movie='{listed}']")).to_have_count(0)
        visitor.search("movie 2", ODD_TITLE)
        visitor.rate_in_dialog(4)
        visitor.wait_until_sent()
        stored = api.get("/ratings", params={"user_id": USER}).json()["ratings"]
        assert [(rating["movie_id"], rating["stars"]) for rating in stored] == [(ODD, 4)]
