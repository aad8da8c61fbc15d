"""The engine that the tests need."""

from __future__ import annotations

import pytest

from tests.stack_processes.docker import has_engine


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine that answers."""
    assert has_engine(), (
        "no Docker engine with Compose answers: start one, or on Debian 12 as root run "
        "`make test-containers`, which starts its own"
    )
