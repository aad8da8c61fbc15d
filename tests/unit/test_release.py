"""What `make dist` ships: the wheel runs without a checkout, and the archive is complete."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import moovier

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BUILT_PAGE = ("index.html", "index.html.br", "page/index-1.js", "licences.md")


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("needs a Git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(name for name in listed.stdout.split("\0") if (ROOT / name).is_file())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the tracked files, and add a page, caches and data, as a used checkout has them."""
    folder = tmp_path_factory.mktemp("release") / "checkout"
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    for name in (
        *(f"web/dist/{file}" for file in BUILT_PAGE),
        "web/node_modules/preact/package.json",
        "data/ml-latest-small/ratings.csv",
        "dags/__pycache__/moovier_ingest.cpython-311.pyc",
        ".env",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def build(source: Path, kind: str) -> Path:
    """Build a wheel or sdist of ``source`` with setuptools alone; no index is asked."""
    out = source.parent / kind
    code = f"import setuptools.build_meta as b; print(b.build_{kind}({str(out)!r}))"  # PEP 517
    out.mkdir()
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def archive(checkout: Path) -> Path:
    return build(checkout, "sdist")


@pytest.fixture(scope="module")
def unpacked(archive: Path) -> Path:
    with tarfile.open(archive) as content:
        content.extractall(archive.parent.parent / "unpacked", filter="data")
    return archive.parent.parent / "unpacked" / f"moovier-{moovier.__version__}"


@pytest.fixture(scope="module")
def installed(unpacked: Path) -> Path:
    """Build the wheel from the archive, as `make dist` does, and unpack it as pip would."""
    shutil.copytree(unpacked, unpacked.parents[1] / "wheel-source" / "moovier")
    wheel = build(unpacked.parents[1] / "wheel-source" / "moovier", "wheel")
    assert "-cp311-abi3-" in wheel.name, "one wheel for every supported Python"
    site = unpacked.parents[1] / "site-packages"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    return site


def test_one_version_number() -> None:
    version = PROJECT["version"]
    assert moovier.__version__ == version
    assert json.loads((ROOT / "web" / "package.json").read_text())["version"] == version
    assert json.loads((ROOT / "web" / "openapi.json").read_text())["info"]["version"] == version
    top = re.search(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert top is not None
    assert top[1] == version


def test_images_have_the_version_as_their_tag(tmp_path: Path) -> None:
    """`make images` builds every image that the compose file builds, from the same Dockerfile."""
    docker, calls = tmp_path / "docker", tmp_path / "calls"
    docker.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n')
    docker.chmod(0o755)
    subprocess.run(
        ["make", "images"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
    )
    services = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["services"].values()
    expected = {
        (
            f"{service['image']}:{PROJECT['version']}",
            service["build"].get("target"),
            service["build"].get("dockerfile"),
        )
        for service in services
        if "build" in service
    }
    option = re.compile(r"--(tag|target|file) (\S+)")
    built = [dict(option.findall(call)) for call in calls.read_text().splitlines()]
    assert {(o["tag"], o.get("target"), o.get("file")) for o in built} == expected


def test_archive_has_the_checkout_and_the_page_but_no_data(unpacked: Path) -> None:
    files = {
        str(file.relative_to(unpacked))
        for file in unpacked.rglob("*")
        if file.is_file() and not file.relative_to(unpacked).parts[0].endswith(".egg-info")
    }
    expected = {*tracked(), *(f"web/dist/{file}" for file in BUILT_PAGE)}
    assert files == expected | {"PKG-INFO", "setup.cfg"}


def test_wheel_has_what_the_packages_and_the_stack_need(installed: Path) -> None:
    files = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    names = tracked()
    packages = {name for name in names if name.split("/")[0] in ("moovier", "bentos")}
    shipped = {
        *(name for name in names if re.fullmatch(r"dags/[\w.]+(\.py|\.airflowignore)", name)),
        *(name for name in names if re.fullmatch(r"data/(.+\.dvc|\.gitignore)", name)),
        *(f"web/dist/{file}" for file in BUILT_PAGE),
        ".dvc/config",
        ".dvc/.gitignore",
        ".dvcignore",
        "dvc.yaml",
        "params.yaml",
        "pipeline/.gitignore",
    }
    assert packages <= files
    assert {f"moovier/project/{name}" for name in shipped} <= files
    assert {file.split("/")[0] for file in files} == {
        "moovier",
        "bentos",
        f"moovier-{moovier.__version__}.dist-info",
    }
    assert not [file for file in files if "ratings.csv" in file or file.endswith(".pyc")]


def test_installed_command_runs_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MOOVIER_")}
    done = subprocess.run(
        [sys.executable, "-m", "moovier", "data", "status"],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    project = tmp_path / ".moovier" / "project"
    assert (project / "dags" / "moovier_retrain.py").is_file()
    assert (project / "web" / "dist" / "page" / "index-1.js").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [".moovier"]
