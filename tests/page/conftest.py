"""The built page, served by the real service with models of the real data, and a browser."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from moovier.jobs.registration import open_registry
from moovier.settings import Settings
from tests.dvc_checkout import ROOT, real_remote
from tests.page.browser import CHROMIUM, launch_chromium
from tests.page.service_with_tmdb import WithTmdb, service_with_tmdb
from tests.registry_fixtures import register_trained
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, running_service

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the page, built by ``make web``."""
    if shutil.which("npm") is None:
        if IN_CI:
            pytest.fail("npm is not installed; CI needs it")
        pytest.skip("npm is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    build = subprocess.run(
        ["make", "web"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280
    )
    if build.returncode != 0 and not IN_CI and "npm error" in build.stderr:
        pytest.skip(f"npm cannot install the page's packages: {build.stderr[-300:]}")
    assert build.returncode == 0, (build.stdout + build.stderr)[-3000:]
    return ROOT / "web" / "dist"


@pytest.fixture(scope="session")
def axe(built: Path) -> str:
    """The script of axe-core."""
    return (ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js").read_text()


# Playwright keeps an event loop in this thread, which stops others from running theirs. So the
# fixture ends with the tests of this package.
@pytest.fixture(scope="package")
def browser(built: Path) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if IN_CI:
            pytest.fail(f"{CHROMIUM} is not installed; CI needs it")
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright, launch_chromium(playwright) as running:
        yield running


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """The real data set if it is available, else the sample."""
    folder: Path = request.getfixturevalue("sample_data" if real_remote() is None else "real_data")
    return folder


@pytest.fixture(scope="session")
def trained(mlflow: Server, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A registry with a champion that ranks and a challenger that predicts stars."""
    folder = tmp_path_factory.mktemp("page")
    settings = own_settings(mlflow, folder / "home")
    champion = register_trained(settings, folder, data, "dae", 128)
    stars = register_trained(settings, folder, data, "taste", 8)
    registry = open_registry(settings)
    both = {"visitor_ndcg_at_10": 0.431, "next_visit_ndcg_at_10": 0.12, "hit_at_10": 0.4}
    of_stars = {"visitor_ndcg_at_10": 0.391, "next_visit_ndcg_at_10": 0.08, "rmse": 0.79}
    for version, metrics in ((champion, both), (stars, of_stars)):
        registry.set_tag(version, "metrics", json.dumps(metrics))
        registry.set_tag(version, "hold_out", "the same")
    promote(settings, champion)
    registry.set_rating_model(stars)
    registry.set_challenger(stars)
    return settings


@pytest.fixture(scope="session")
def service(trained: Settings, built: Path) -> Iterator[Service]:
    # A test fine-tunes on the page and waits for it.
    with running_service(trained, MOOVIER_PRELOAD_TRAINER="true") as running:
        yield running


@pytest.fixture(scope="session")
def with_tmdb(
    trained: Settings, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WithTmdb]:
    """A service with a TMDB key beside ``service``."""
    with service_with_tmdb(trained, service, tmp_path_factory.mktemp("with-tmdb")) as running:
        yield running
