"""The service's memory stays flat under many different requests: `make test-slow` runs this."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from benchmarks import load_generator
from tests.servers import Server, worker_of
from tests.service.conftest import Service
from tests.service.raw import request
from tests.service.samples import sample_service

REQUESTS = 200_000
#: Requests until caches are full, threads run and the allocator has its memory.
WARM_UP = 10_000
CONNECTIONS, MOST_GROWTH_MB = 8, 10.0


@pytest.fixture(scope="module")
def service(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory, sample_data: Path
) -> Iterator[Service]:
    with sample_service(mlflow, tmp_path_factory.mktemp("flat"), sample_data) as running:
        yield running


@pytest.mark.scale
@pytest.mark.timeout(1800)
def test_memory_stays_flat(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    process = worker_of(service.process, "Moovier")
    assert process is not None
    requests = mixed()
    ask(service, requests, WARM_UP)
    before = process.memory_info().rss
    sizes = []
    for _ in range(4):
        ask(service, requests, REQUESTS // 4)
        sizes.append(process.memory_info().rss)
    grown = [round((size - before) / 2**20, 1) for size in sizes]
    record_property("rss_mb", round(before / 2**20))
    record_property("grown_mb", grown)
    assert worker_of(service.process, "Moovier") == process
    assert min(grown[-2:]) < MOST_GROWTH_MB


def ask(service: Service, requests: list[bytes], least: int) -> None:
    """Send at least ``least`` of ``requests`` in turn; all must get 200."""
    url, done = urlsplit(service.address), 0
    while done < least:
        there = load_generator.run(
            str(url.hostname), int(url.port or 80), requests, connections=CONNECTIONS, seconds=2
        )
        assert there.failed == 0
        done += there.latencies_s.size
        # Continue near the last request, so that every request has its turn.
        assignment = there.latencies_s.size % len(requests)
        requests[:] = requests[assignment:] + requests[:assignment]


def mixed() -> list[bytes]:
    """Return thousands of different requests."""
    seeded = random.Random(1)
    made = []
    for number in range(3_000):
        user = seeded.randrange(1, 700)
        movies = {str(seeded.randrange(1, 3000)): seeded.randrange(1, 11) / 2 for _ in range(20)}
        year = seeded.randrange(1930, 2000)
        made += [
            request("POST", f"/predict?top_k={seeded.randrange(1, 50)}", [user, number + 10**6]),
            request("POST", "/predict?top_k=3", [user]),
            request("POST", "/recommend", {"ratings": movies, "top_k": 5}),
            request("POST", "/recommend", {"user_id": user, "genres": ["Drama"]}),
            request("GET", f"/popular?year_from={year}&year_to={year + seeded.randrange(60)}"),
            request("GET", f"/movies?query={chr(97 + number % 26)}&top_k=5"),
        ]
    # Few writes, since stored ratings grow the memory on purpose.
    made += [
        request("POST", "/ratings", {"user_id": 5, "ratings": [{"movie_id": 1, "stars": 4}]})
    ] * 50
    seeded.shuffle(made)
    return made
