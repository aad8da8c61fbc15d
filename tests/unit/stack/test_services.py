"""The commands of the stack's processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from moovier.stack.services import console_script


def test_scripts_are_found_beside_a_python_in_another_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Debian's Python is /usr/bin/python3, and its pip installs scripts in /usr/local/bin."""
    monkeypatch.setattr(sys, "executable", "/usr/elsewhere/python3")
    for name in ("bentoml", "airflow", "mlflow"):
        assert Path(console_script(name)).is_file(), name
