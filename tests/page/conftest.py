"""The real service with the built page on the real data, and a real browser to look at it."""

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
from tests.page.browser import CHROMIUM, chromium
from tests.registry_fixtures import register_trained
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, running_service

IN_CI = os.environ.get("CI") == "true"


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder with the page, made by the command that people use."""
    if shutil.which("npm") is None:
        if IN_CI:
            pytest.fail("npm must be there in CI")
        pytest.skip("npm is not installed")
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(
        ["make", "web"], cwd=ROOT, env=bare, capture_output=True, text=True, timeout=280
    )
    if done.returncode != 0 and not IN_CI and "npm error" in done.stderr:
        pytest.skip(f"npm cannot install the page's packages: {done.stderr[-300:]}")
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return ROOT / "web" / "dist"


# While it is open an event loop runs in this thread, in which nobody else can run their own: it
# ends with the last test that looks at the page.
@pytest.fixture(scope="package")
def browser(built: Path) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        if IN_CI:
            pytest.fail(f"{CHROMIUM} must be there in CI")
        pytest.skip(f"{CHROMIUM} is not installed")
    with sync_playwright() as playwright, chromium(playwright) as running:
        yield running


@pytest.fixture(scope="session")
def data(request: pytest.FixtureRequest) -> Path:
    """The real set where it is to be had; the page is the same on the sample."""
    folder: Path = request.getfixturevalue("sample_data" if real_remote() is None else "real_data")
    return folder


@pytest.fixture(scope="session")
def trained(mlflow: Server, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A champion that ranks, and a challenger that predicts stars."""
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
    with running_service(trained) as running:
        yield running
