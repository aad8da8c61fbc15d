"""Fixtures of a model store on a real MLflow, and of a context that needs no server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from moovier.feedback.cache import FeedbackCache
from moovier.registry.client import Registry
from moovier.serving.model_store import ModelStore
from tests.fakes.relay import Relay, relay_before
from tests.servers import Server
from tests.unit.registry.conftest import publish, registry, tracking
from tests.unit.serving.counting_registry import Counting
from tests.unit.serving.toy_context import Toy, feedback_in, toy_of

__all__ = ["publish", "registry", "tracking"]


@pytest.fixture
def relay(mlflow: Server) -> Iterator[Relay]:
    with relay_before(mlflow.address) as relay:
        yield relay


@pytest.fixture
def counting(relay: Relay, registry: Registry) -> Counting:
    """Return the store's registry, behind a relay that can be cut."""
    return Counting(relay.address, registry.model_name)


@pytest.fixture
def model_store(counting: Counting, tmp_path: Path) -> ModelStore:
    return ModelStore(counting, tmp_path / "bundles", capacity=2)


@pytest.fixture(scope="module")
def feedback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FeedbackCache]:
    """One database for a file of tests; each test uses users of its own."""
    with contextlib.closing(feedback_in(tmp_path_factory.mktemp("feedback"))) as cache:
        yield cache


@pytest.fixture
def toy(feedback: FeedbackCache) -> Toy:
    return toy_of(feedback)
