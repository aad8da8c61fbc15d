"""The decisions of the Makefile. `.ci/run` tests the setup of an environment."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


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


def test_missing_python_is_a_clear_error(tmp_path: Path) -> None:
    done = make("lint", f"VENV={tmp_path / 'venv'}", "PYTHON=python3.11-that-is-not-there")
    assert done.returncode != 0
    assert "install Python 3.11" in done.stderr
    assert "make PYTHON=/path/to/python3.11 lint" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_wrong_python_version_is_a_clear_error(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\nexit 1\n")  # the version check fails
    other.chmod(0o755)
    done = make("lint", f"VENV={tmp_path / 'venv'}", f"PYTHON={other}")
    assert done.returncode != 0
    assert "is not Python 3.11" in done.stderr


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
    without = make("page", path=tools)
    assert without.returncode == 0
    assert "npm not found: starting without the web page" in without.stdout
    npm = tools / "npm"
    npm.write_text("#!/bin/sh\nexit 1\n")
    npm.chmod(0o755)
    failing = make("page", f"PAGE={tmp_path / 'built'}", path=tools)
    assert failing.returncode == 0
    assert "could not be built: starting without it" in failing.stderr
    assert not (tmp_path / "built").exists()
