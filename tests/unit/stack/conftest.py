"""Fixtures for a stack of small processes in a temporary home, ended after each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from moovier.stack.environment import MARKER
from moovier.stack.process_cleanup import end_stack_processes
from moovier.stack.services import ManagedProcess
from moovier.stack.supervisor import Supervisor


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """Return a home folder; processes that a test leaves there are ended."""
    home = tmp_path / "home"
    home.mkdir()
    yield home
    end_stack_processes(home, grace_s=0.5)


@pytest.fixture
def supervisor(home: Path) -> Supervisor:
    return Supervisor(home)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the processes of a stack in ``home``."""
    return {**os.environ, MARKER: str(home)}


def python_process(name: str, script: str, home: Path, **options: bool | int) -> ManagedProcess:
    """Return a managed process that runs a line of Python."""
    return ManagedProcess(name, (sys.executable, "-c", script), home, **options)  # type: ignore[arg-type]
