"""The service's application in this process, on a real MLflow."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from bentos.app import create_app
from bentos.app_state import AppState
from bentos.middleware.stack import front
from moovier.serving.context import ServingContext
from moovier.settings import Settings
from tests.service.conftest import environment

MODEL, OTHER_MODEL = "moovier_popular_1_trained_0", "moovier_popular_2_trained_0"
BATCH = {"users": [7, 11], "movies": [1, 2], "ratings": [4, 0.5]}


@dataclass
class FakeTrainer:
    """Replaces BentoML's client of the trainer; an exception as ``result`` is raised."""

    result: Any = field(default_factory=lambda: {"name": MODEL, "version": 1, "skipped": []})
    calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def to_async(self) -> SimpleNamespace:
        return SimpleNamespace(fine_tune=self._fine_tune)

    async def _fine_tune(self, **arguments: Any) -> Any:
        self.calls.append(arguments)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


class InProcessClient(TestClient):
    """A client of the application behind its middleware."""

    def __init__(self, api: Any, app: ASGIApp | None = None, address: str = "127.0.0.1") -> None:
        """Send requests from ``address`` to ``app``, by default ``api`` behind all middleware."""
        self.api = api
        super().__init__(
            app or front(api, api, api.state.running, traced=False),
            raise_server_exceptions=False,
            follow_redirects=False,
            client=(address, 1),
            # The length of a compressed answer depends on the request id in it.
            headers={"Accept-Encoding": "identity"},
        )

    @property
    def state(self) -> AppState:
        state: AppState = self.api.state.running
        return state

    @property
    def context(self) -> ServingContext:
        assert self.state.context is not None
        return self.state.context


@contextlib.contextmanager
def started(settings: Settings, **variables: str) -> Iterator[InProcessClient]:
    """Start the application as its own process would, with further environment variables."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TMDB_API_KEY", raising=False)
        for name, value in environment(settings, **variables).items():
            patch.setenv(name, value)
        client = InProcessClient(create_app())
        client.__enter__()
    client.state.trainer = FakeTrainer()
    try:
        yield client
    finally:
        client.__exit__(None, None, None)


def becomes_champion(client: TestClient, name: str, timeout_s: float = 180.0) -> bool:
    """Return whether ``name`` becomes the champion; every answer until then must be good."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        answer = client.post("/predict", json=[7])
        assert answer.status_code == 200
        if answer.headers["x-moovier-model"] == name:
            return True
        time.sleep(0.05)
    return False
