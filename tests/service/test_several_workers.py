"""Several processes of the service answer on one port, with the same models and feedback."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from moovier.settings import Settings
from tests.fixtures import MOVIE_IDS
from tests.servers import Server, workers_of
from tests.service.conftest import (
    Service,
    own_settings,
    promote,
    published,
    running_service,
    wait_for,
)

WORKERS = 2
#: New connections, so that both processes answer some: a process accepts those that come while it
#: waits.
CONNECTIONS = 40


@dataclass(frozen=True)
class Running:
    """A service with two workers and a champion."""

    service: Service
    settings: Settings

    def pids(self) -> set[int]:
        return {worker.pid for worker in workers_of(self.service.process, "Moovier")}

    def ask(self, method: str, path: str, **options: object) -> httpx.Response:
        """Send a request over a connection of its own."""
        url = f"{self.service.address}{path}"
        return httpx.request(method, url, trust_env=False, timeout=60, **options)  # type: ignore[arg-type]

    def listening(self) -> bool:
        """Return whether each worker has opened its files and answers."""
        return len(self.pids()) == WORKERS and self.ask("GET", "/readyz").is_success


@pytest.fixture(scope="module")
def running(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("workers")
    settings = own_settings(mlflow, folder / "home")
    promote(settings, published(settings, folder))
    with running_service(settings, MOOVIER_WORKERS=str(WORKERS)) as service:
        running = Running(service, settings)
        wait_for(running.listening)
        yield running


def answered(running: Running) -> dict[str, float]:
    """Return the number of answers of `/predict` by status, over all workers."""
    text = running.ask("GET", "/metrics").text
    pattern = r'moovier_request_seconds_count\{[^}]*route="/predict",status="(\d+)"\} (\S+)'
    return {status: float(count) for status, count in re.findall(pattern, text)}


def test_requests_of_all_workers_are_counted_together(running: Running) -> None:
    before = answered(running).get("200", 0)
    for _ in range(CONNECTIONS):
        assert running.ask("POST", "/predict?top_k=3", json=[1]).status_code == 200
    assert answered(running)["200"] == before + CONNECTIONS


def test_each_worker_shows_a_new_rating(running: Running) -> None:
    rating = {"movie_id": MOVIE_IDS[0], "stars": 4.5}
    sent = running.ask("POST", "/ratings", json={"user_id": 900, "ratings": [rating]})
    assert sent.is_success, sent.text

    def shown_by_all() -> bool:
        answers = [running.ask("GET", "/ratings?user_id=900").text for _ in range(CONNECTIONS // 2)]
        return all("4.5" in answer for answer in answers)

    wait_for(shown_by_all)


def test_each_worker_takes_a_new_champion(running: Running, tmp_path: Path) -> None:
    name = "moovier_popular_2_trained_0"
    promote(running.settings, published(running.settings, tmp_path, name))

    def taken_by_all() -> bool:
        answers = [
            running.ask("POST", "/predict?top_k=3", json=[1]) for _ in range(CONNECTIONS // 2)
        ]
        assert all(answer.status_code == 200 for answer in answers)
        return {answer.headers["x-moovier-model"] for answer in answers} == {name}

    wait_for(taken_by_all)


def test_a_killed_worker_is_replaced_while_the_other_answers(running: Running) -> None:
    before = running.pids()
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(killed)] if psutil.pid_exists(killed) else [], timeout=10)

    def replaced() -> bool:
        assert running.ask("POST", "/predict?top_k=3", json=[1]).status_code == 200
        return len(running.pids()) == WORKERS and killed not in running.pids()

    wait_for(replaced)


def test_trainer_without_preload_imports_nothing(running: Running) -> None:
    """Run last: with preload TensorFlow is imported by now."""
    trainers = workers_of(running.service.process, "Trainer")
    maps = [Path(f"/proc/{trainer.pid}/maps").read_text() for trainer in trainers]
    assert len(maps) == 1
    assert "numpy" in maps[0]
    assert "/tensorflow/" not in maps[0]
