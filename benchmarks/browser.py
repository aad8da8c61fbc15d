"""The page as somebody sees it: the real service with a trained model, and a real browser."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from moovier.data import sources
from moovier.jobs.registration import open_registry
from moovier.settings import Settings, load_settings
from tests.page.browser import launch_chromium
from tests.registry_fixtures import register_trained
from tests.servers import mlflow_server
from tests.service.conftest import running_service

#: What somebody who is shown the page rates: words to search by, title, stars.
RATED = (("toy story", "Toy Story", 5.0), ("matrix", "The Matrix", 5.0), ("up", "Up", 4.5))


@contextlib.contextmanager
def page_of(data: str | None) -> Iterator[tuple[Browser, str, sources.DataRef]]:
    """A browser, the page's address, and the data set that the models were trained on."""
    reference = sources.fetch(load_settings(**({} if data is None else {"data": data})))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow.address)
            registry = open_registry(settings)
            registry.promote(
                register_trained(settings, folder, reference.folder, "dae", 128), "to be shown"
            )
            registry.set_rating_model(
                register_trained(settings, folder, reference.folder, "taste", 10)
            )
            with (
                running_service(settings) as service,
                sync_playwright() as playwright,
                launch_chromium(playwright) as browser,
            ):
                yield browser, service.address, reference
