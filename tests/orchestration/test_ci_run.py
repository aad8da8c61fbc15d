"""The exit status of `.ci/run`, with a `make` that only records what was asked of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"
# The script installs nothing if it finds these; `apt-get` is replaced for what it still misses.
PROGRAMS = (
    *("prometheus", "prometheus-postgres-exporter", "prometheus-redis-exporter"),
    *("redis-server", "wget", "chromium", "cc", "apt-get"),
)
FAKE_MAKE = """#!/bin/sh
echo "$@" >> "$MAKE_CALLS"
case "$1 " in
"test ") echo "FAILED tests/test_a.py::test_b"; exit "${TEST_STATUS:-0}" ;;
"lint ") echo "linted"; exit "${LINT_STATUS:-0}" ;;
esac
"""


def run_ci(folder: Path, **statuses: str) -> subprocess.CompletedProcess[str]:
    (folder / ".ci").mkdir()
    shutil.copy(SCRIPT, folder / ".ci" / "run")
    programs = folder / "bin"
    programs.mkdir()
    for name in (*PROGRAMS, "make"):
        (programs / name).write_text(FAKE_MAKE if name == "make" else "#!/bin/sh\n")
        (programs / name).chmod(0o755)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "TEST_CONTAINERS"},
        "PATH": f"{programs}:{os.environ['PATH']}",
        "MAKE_CALLS": str(folder / "calls"),
        "MOOVIER_DVC_REMOTE": "none",
        **statuses,
    }
    return subprocess.run(
        [folder / ".ci" / "run"], env=environment, capture_output=True, text=True, check=False
    )


def test_ci_passes_when_tests_and_linters_pass(tmp_path: Path) -> None:
    done = run_ci(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert {"test", "lint lint-kubernetes test-web"} < set(calls)


@pytest.mark.parametrize(
    ("status", "last_line"),
    [
        ("TEST_STATUS", "FAILED tests/test_a.py::test_b"),
        ("LINT_STATUS", "FAILED: the linters or the page's tests"),
    ],
)
def test_ci_fails_and_names_the_failure_last(tmp_path: Path, status: str, last_line: str) -> None:
    done = run_ci(tmp_path, **{status: "2"})
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == last_line
    assert "linted" in done.stdout
