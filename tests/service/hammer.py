"""A client that keeps a service busy while a test changes it."""

from __future__ import annotations

import threading

import httpx

from tests.service.conftest import Service


class Hammer:
    """A client that asks for lists in a thread until the block ends.

    ``statuses`` has the statuses of all answers, 0 for a lost connection. ``last_model`` is the
    model of the last answer.
    """

    def __init__(self, service: Service) -> None:
        self.statuses: set[int] = set()
        self.last_model: str | None = None
        self._service = service
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Hammer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with self._service.client() as client:
            while not self._over.is_set():
                try:
                    answer = client.post("/predict?top_k=3", json=[1, 2])
                except httpx.HTTPError:
                    self.statuses.add(0)
                    continue
                self.statuses.add(answer.status_code)
                self.last_model = answer.headers.get("x-moovier-model")
