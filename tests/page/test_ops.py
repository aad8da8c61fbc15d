"""The view for engineers, "Behind the scenes", on a real registry."""

from __future__ import annotations

import json

from playwright.sync_api import Browser, Locator, Page, expect

from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.page.browser import open_page
from tests.page.visitor import Visitor
from tests.service.conftest import Service


def test_overview_shows_models_data_and_monitoring(
    browser: Browser, service: Service, trained: Settings
) -> None:
    monitoring = {
        "at": "2026-01-02T03:04:05+00:00",
        "run_id": "r" * 32,
        "alarm": True,
        "reasons": ["genres have drifted"],
        "figures": {"psi_stars": 0.31},
        "data": "x.dir",
        "champion": "moovier_dae_128_trained_0",
    }
    open_registry(trained).set_model_tag("monitoring", json.dumps(monitoring))
    with open_page(browser, service.address) as page, service.client() as client:
        page.goto("/behind")
        expect(page.locator(".panel").filter(has_text="Serving now")).to_contain_text(
            "moovier_dae_128_trained_0"
        )
        overview = client.get("/overview").json()
        data = page.locator(".panel").filter(has_text="Version (DVC hash)")
        expect(data).to_contain_text(overview["data"]["hash"])
        expect(page.get_by_text("Synthetic data.")).to_have_count(
            int(overview["data"]["synthetic"])
        )
        expect(page.get_by_text("Ready", exact=True)).to_be_visible()
        monitoring_panel = page.locator(".panel").filter(has_text="Monitoring")
        expect(monitoring_panel).to_contain_text("Alarm")
        expect(monitoring_panel).to_contain_text("genres have drifted")
        expect(monitoring_panel).to_contain_text("0.310")
        rows = page.get_by_role("group", name="As a table").get_by_role("row")
        expect(rows.nth(1)).to_have_text("Visitor NDCG@100.4310.391-0.040")
        expect(rows.nth(2)).to_have_text("Next-visit NDCG@100.1200.080-0.040")
        # Only one of the models predicts stars.
        expect(rows.nth(3)).to_have_text("RMSE (stars)–0.790–")
        expect(rows).to_have_count(4)
        expect(page.get_by_role("img", name="Metrics of both models")).to_be_visible()
        expect(page.locator(".panel").filter(has_text="Serving now")).to_contain_text(
            "Visitor NDCG@10 0.431 · Next-visit NDCG@10 0.120"
        )
        models = models_section(page).get_by_role("row")
        expect(models.filter(has_text="moovier_taste_8_trained_0")).to_contain_text("challenger")
        link = page.get_by_role("link", name="MLflow", exact=True)
        expect(link).to_have_attribute("href", trained.mlflow_tracking_uri)
        expect(page.get_by_role("link", name="Airflow", exact=True)).to_have_attribute(
            "href", "http://127.0.0.1:8080"
        )


def test_missing_metrics_are_dashes(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page, service.client() as client:
        overview = client.get("/overview").json()
        model = overview["models"][0]
        model["metrics"] = {"ndcg_at_10": 0.195, "hit_at_10": 0.5, "rmse": 0.8}
        overview["models"] = [model]
        overview["serving_version"] = model["version"]
        page.route("**/overview", lambda route: route.fulfill(json=overview))
        page.goto("/behind")
        rows = models_section(page).get_by_role("row")
        expect(rows.nth(0)).to_contain_text("Visitor NDCG@10")
        expect(rows.nth(1).locator("td.number")).to_have_text(["–", "–", "–", "0.800"])


def test_overview_warns_of_synthetic_data_and_degraded_service(
    browser: Browser, service: Service
) -> None:
    with open_page(browser, service.address) as page, service.client() as client:
        overview = client.get("/overview").json()
        overview["data"]["synthetic"] = True
        overview["trouble"] = "MLflow does not answer"
        page.route("**/overview", lambda route: route.fulfill(json=overview))
        page.route(
            "**/readyz",
            lambda route: route.fulfill(json={"ready": True, "degraded": ["MLflow is away"]}),
        )
        page.goto("/behind")
        expect(page.get_by_text("not given by people")).to_be_visible()
        expect(page.get_by_text("This is its last known state.")).to_be_visible()
        expect(page.get_by_text("Degraded: MLflow is away")).to_be_visible()


def test_models_of_one_name_are_counted(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address) as page, service.client() as client:
        overview = client.get("/overview").json()
        overview["retraining"] = {
            "key": "x",
            "at": "2026-01-02T03:04:05+00:00",
            "models": ["moovier_ease_3_trained_0", "moovier_emb_4_trained_0"] * 2
            + ["moovier_taste_8_trained_0"],
            "promoted": True,
        }
        page.route("**/overview", lambda route: route.fulfill(json=overview))
        page.goto("/behind")
        names = page.locator(".panel").filter(has_text="Last retraining").get_by_role("listitem")
        expect(names).to_have_text(
            [
                "moovier_ease_3_trained_0 (2 versions)",
                "moovier_emb_4_trained_0 (2 versions)",
                "moovier_taste_8_trained_0",
            ]
        )


def test_fine_tuning_registers_a_model(browser: Browser, service: Service) -> None:
    with open_page(browser, service.address, strict=False) as page, service.client(120) as client:
        visitor = Visitor(page)
        visitor.open_discover()
        before = visitor.listed_ids()
        visitor.rate_in_list(before[0], 5)
        visitor.wait_for_other_list(before)
        page.goto("/behind")
        page.get_by_label("Pasted JSON").check()
        page.get_by_label("Three parallel lists").fill("{}")
        page.get_by_role("button", name="Fine-tune").click()
        expect(page.get_by_role("alert")).to_contain_text("The text must be JSON of the form")
        page.get_by_label("Three parallel lists").fill(
            '{"users": [1], "movies": [999999999], "ratings": [5]}'
        )
        page.get_by_role("button", name="Fine-tune").click()
        expect(page.locator(".progress")).to_contain_text("none of the movies", timeout=240_000)
        page.get_by_label("Mine (1)").check()
        page.get_by_label("Epochs without improvement").fill("1")
        page.get_by_role("button", name="Fine-tune").click()
        expect(page.get_by_role("progressbar")).to_be_visible()
        expect(page.locator(".elapsed")).to_be_visible()
        expect(page.locator(".progress")).to_contain_text(
            "The new model is called moovier_dae_128_trained_1", timeout=240_000
        )
        assert "moovier_dae_128_trained_1" in client.get("/models").json()
        expect(models_section(page)).to_contain_text("moovier_dae_128_trained_1")
        page.route("**/train*", lambda route: None)
        page.get_by_role("button", name="Fine-tune").click()
        page.get_by_role("button", name="Stop waiting").click()
        expect(page.locator(".progress")).to_contain_text("You stopped waiting.")
        page.unroute("**/train*")
        page.route(
            "**/train*",
            lambda route: route.fulfill(status=401, json={"detail": "a key is needed"}),
        )
        page.get_by_role("button", name="Fine-tune").click()
        expect(page.get_by_label("API key")).to_be_visible()


def models_section(page: Page) -> Locator:
    """Return the section with the table of models."""
    heading = page.get_by_role("heading", name="Models", exact=True)
    return page.locator("section").filter(has=heading)
