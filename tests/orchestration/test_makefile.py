"""The decisions of the Makefile. `.ci/run` tests the setup of an environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FIND_PYTHON = ROOT / "deploy" / "find_python.sh"


def make(
    *arguments: str, home: Path | None = None, path: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    if home is not None:
        environment["MOOVIER_HOME"] = str(home)
    if path is not None:
        environment["PATH"] = str(path)
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_lists_every_command() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = set(" ".join(re.findall(r"^\.PHONY: (.*)$", text, re.MULTILINE)).split())
    shown = make().stdout
    assert targets == set(re.findall(r"make ([a-z-]+)", shown))
    assert {"up", "down", "reset", "test", "lint", "bench-train", "bench-serve"} <= targets


def test_supported_python_versions_are_the_same_everywhere() -> None:
    listed = re.search(r'^supported="(.*)"$', FIND_PYTHON.read_text(), re.MULTILINE)
    assert listed is not None
    versions = sorted(tuple(map(int, word.split("."))) for word in listed[1].split())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (oldest, *_, newest) = versions
    required = f">=3.{oldest[1]},<3.{newest[1] + 1}"
    assert project["project"]["requires-python"] == required
    names = [f"Programming Language :: Python :: 3.{minor}" for _, minor in versions]
    assert project["project"]["classifiers"] == names
    # Code is checked against the oldest one.
    assert project["tool"]["mypy"]["python_version"] == f"3.{oldest[1]}"
    assert project["tool"]["ruff"]["target-version"] == f"py3{oldest[1]}"


def fake_python(folder: Path, name: str, version: str, *, has_venv: bool = True) -> Path:
    """Write a program that answers the probe of ``find_python.sh``."""
    program = folder / name
    lines = [f"echo {version}", *([] if has_venv else ["echo no-venv"])]
    program.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    program.chmod(0o755)
    return program


def find_python(tools: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    for name in ("sh", "tr"):
        if not (tools / name).exists():
            (tools / name).symlink_to(str(shutil.which(name)))
    return subprocess.run(
        [str(tools / "sh"), str(FIND_PYTHON), *arguments],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_newest_supported_python_is_taken(tmp_path: Path) -> None:
    for name, version in {
        "python3.14": "3.14",
        # A shim of a version that is not installed: it fails, or it answers with another version.
        "python3.13": "3.10",
        "python3.12": "3.12",
        "python3.11": "3.11",
        "python3": "3.14",
    }.items():
        fake_python(tmp_path, name, version)
    done = find_python(tmp_path)
    assert (done.stdout, done.stderr) == ("python3.12\n", "")


def test_python_without_a_version_in_its_name_is_found(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.13")
    assert find_python(tmp_path).stdout == "python3\n"


def test_python_without_venv_is_passed_over_or_named(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", "3.13", has_venv=False)
    alone = find_python(tmp_path)
    assert alone.returncode == 1
    assert "python3.13 (Python 3.13) lacks the modules venv and ensurepip" in alone.stderr
    assert "apt install python3-venv" in alone.stderr
    fake_python(tmp_path, "python3.11", "3.11")
    assert find_python(tmp_path).stdout == "python3.11\n"


def test_no_supported_python_is_a_clear_error(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9")
    done = find_python(tmp_path)
    assert done.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 found on the path; install one" in done.stderr


def test_named_python_is_the_only_candidate(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3.13", "3.13")
    chosen = fake_python(tmp_path, "mine", "3.11")
    assert find_python(tmp_path, str(chosen)).stdout == f"{chosen}\n"
    done = find_python(tmp_path, str(fake_python(tmp_path, "new", "3.14")))
    assert done.returncode == 1
    assert "new is not Python 3.11, 3.12 or 3.13" in done.stderr


def test_missing_python_stops_make_before_it_writes(tmp_path: Path) -> None:
    done = make("lint", f"VENV={tmp_path / 'venv'}", "PYTHON=python3.11-that-is-not-there")
    assert done.returncode != 0
    assert "make PYTHON=/path/to/python3.13" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_environment_of_an_unsupported_python_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    fake_python(tmp_path / "bin", "python", "3.10")
    done = make("lint", f"VENV={tmp_path}")
    assert done.returncode != 0
    assert "is not Python 3.11, 3.12 or 3.13" in done.stderr
    assert f"Delete {tmp_path}, then repeat: make lint" in done.stderr


def test_down_without_an_environment_succeeds(tmp_path: Path) -> None:
    done = make("down", f"VENV={tmp_path / 'venv'}")
    assert done.returncode == 0
    assert "nothing is running" in done.stdout


@pytest.mark.parametrize(("force", "remains"), [("0", True), ("1", False)])
def test_reset_asks_unless_forced(tmp_path: Path, force: str, remains: bool) -> None:
    home = tmp_path / "a home"
    home.mkdir()
    (home / "model").touch()
    done = make("reset", f"FORCE={force}", f"VENV={tmp_path / 'venv'}", home=home)
    assert home.exists() is remains
    assert (done.returncode != 0) is remains
    assert str(home) in done.stdout


def test_page_build_without_npm_or_with_a_failing_one_does_not_stop_the_start(
    tmp_path: Path,
) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("make", "sh", "find", "touch"):
        program = shutil.which(name)
        assert program is not None
        (tools / name).symlink_to(program)
    page = f"PAGE={tmp_path / 'dist' / '.built'}"
    without = make("page", page, path=tools)
    assert without.returncode == 0
    assert "npm not found: starting without the web page" in without.stdout
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "index.html").touch()
    shipped = make("page", page, path=tools)
    assert shipped.returncode == 0
    assert f"npm not found: using the built web page in {tmp_path / 'dist'}" in shipped.stdout
    npm = tools / "npm"
    npm.write_text("#!/bin/sh\nexit 1\n")
    npm.chmod(0o755)
    failing = make("page", page, path=tools)
    assert failing.returncode == 0
    assert "could not be built: starting without it" in failing.stderr
    assert not (tmp_path / "dist" / ".built").exists()
