"""An acknowledged rating survives killed processes and an unavailable database."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from sqlalchemy import create_engine, text

from moovier.settings import Settings
from tests.fixtures import MOVIE_IDS
from tests.postgres import SERVER, own_database
from tests.servers import Server, worker_of
from tests.service.conftest import Service, own_settings, promote, published, running_service
from tests.service.raw import Answer, Connection, request

RATINGS, CLIENTS = 1_000, 8
#: The processes that are killed, in turn, each at a random moment. Each takes seconds to restart.
KILLED = ("Moovier", "master")
MORE_KILLED = ("Moovier", "Trainer", "master", "Moovier")
SEED = int(os.environ.get("MOOVIER_TEST_SEED", "1"))
PATIENCE_S = 120.0


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with own_database() as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ratings.db'}"


@pytest.fixture
def home(mlflow: Server, tmp_path: Path) -> Settings:
    """Return settings of a service with a champion."""
    settings = own_settings(mlflow, tmp_path / "home")
    promote(settings, published(settings, tmp_path))
    return settings


@pytest.mark.parametrize(
    ("kind", "killed"),
    [
        ("sqlite", KILLED),
        pytest.param("postgres", KILLED, marks=pytest.mark.stack),
        pytest.param("sqlite", MORE_KILLED, marks=pytest.mark.stack),
        pytest.param("postgres", MORE_KILLED, marks=pytest.mark.stack),
    ],
)
def test_no_acknowledged_rating_is_lost_when_processes_are_killed(
    kind: str,
    killed: tuple[str, ...],
    home: Settings,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    with Killed(home, url, killed) as service:
        started = time.monotonic()
        sent = asyncio.run(_rate_all(service))
        record_property("seconds", round(time.monotonic() - started, 1))
        record_property("statuses", dict(sent.statuses))
        record_property("kills", service.kills)
        # Those that came again because their answer was lost with the process, but not the rating.
        record_property("replayed", sent.replayed)
        shown = service.own_ratings(1)
    assert [name for name, _ in service.kills] == list(killed)
    assert sent.acknowledged == RATINGS
    # Neither a conflict with itself nor a server error; 0: the connection was lost.
    assert set(sent.statuses) <= {0, 200, 503}
    assert sent.statuses[0] > 0, "no request was under way when a process was killed"
    stored = stored_in(url)
    assert len(stored) == RATINGS
    assert stored == {(user, movie): stars for user, movie, stars in wanted()}
    assert shown == {movie: stars for user, movie, stars in wanted() if user == 1}


def test_predictions_continue_while_postgres_is_unavailable(
    home: Settings, postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    with running_service(home, MOOVIER_DATABASE_URL=postgres_url) as service:
        cut = asyncio.run(_while_cut(service.address, postgres_url))
    record_property("ratings", dict(cut.ratings))
    record_property("predictions", dict(cut.predictions))
    record_property("slowest_prediction_s", round(cut.slowest_s, 2))
    assert set(cut.predictions) == {200}
    assert cut.predictions[200] > 50
    assert cut.slowest_s < 5
    assert set(cut.ratings) <= {200, 503}
    assert cut.ratings[503] > 0, "the database was unavailable, and no request got 503"
    assert cut.ratings[200] > 50
    assert cut.without_retry_after == 0
    assert set(stored_in(postgres_url)) == cut.acknowledged


def wanted() -> Iterator[tuple[int, int, float]]:
    """Yield a thousand ratings: each of 200 users rates each of five movies."""
    for number in range(RATINGS):
        user, movie = divmod(number, len(MOVIE_IDS))
        yield user + 1, MOVIE_IDS[movie], (number % 10 + 1) / 2


class Killed:
    """A service whose processes are killed, and which is started again if necessary."""

    def __init__(self, settings: Settings, url: str, killed: tuple[str, ...]) -> None:
        self.kills: list[tuple[str, int]] = []
        self._settings, self._url, self._killed = settings, url, killed
        self._stack = contextlib.ExitStack()
        self._service: Service | None = None
        seeded = random.Random(SEED)
        share = RATINGS // (len(killed) + 1)
        self._due = [share * turn + seeded.randrange(share) for turn in range(len(killed))]

    def __enter__(self) -> Killed:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def address(self) -> str:
        assert self._service is not None
        return self._service.address

    def own_ratings(self, user: int) -> dict[int, float]:
        assert self._service is not None
        with self._service.client() as client:
            answer = client.get(f"/ratings?user_id={user}")
        assert answer.status_code == 200, answer.text
        return {one["movie_id"]: one["stars"] for one in answer.json()["ratings"]}

    def is_due(self, acknowledged: int) -> bool:
        return len(self.kills) < len(self._due) and acknowledged >= self._due[len(self.kills)]

    def kill(self, acknowledged: int) -> None:
        """Kill the next process; a killed master is started again, which takes seconds."""
        assert self._service is not None
        name = self._killed[len(self.kills)]
        if name == "master":
            master = psutil.Process(self._service.process.pid)
            workers = master.children(recursive=True)
            master.kill()
            master.wait(PATIENCE_S)
            # Its workers run in sessions of their own and keep running for a moment. A process
            # manager such as systemd ends them before it starts the service again.
            for process in workers:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._stack.close()
            self._start()
        else:
            end = time.monotonic() + PATIENCE_S
            while (worker := worker_of(self._service.process, name)) is None:
                assert time.monotonic() < end, f"no worker of {name}"
                time.sleep(0.05)
            worker.kill()
        self.kills.append((name, acknowledged))

    def _start(self) -> None:
        running = running_service(self._settings, MOOVIER_DATABASE_URL=self._url)
        self._service = self._stack.enter_context(running)


@dataclass
class Ratings:
    """The statuses of the answers (0 for none), and the acknowledged ratings."""

    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: int = 0
    replayed: int = 0


async def _rate_all(service: Killed) -> Ratings:
    """Send all ratings, each again until it is acknowledged."""
    sent, waiting = Ratings(), wanted()

    async def client() -> None:
        connection, address = Connection(service.address), service.address
        for user, movie, stars in waiting:
            content = _rating(user, movie, stars)
            end = time.monotonic() + PATIENCE_S
            while True:
                assert time.monotonic() < end, "never acknowledged"
                if address != service.address:
                    await connection.close()
                    connection, address = Connection(service.address), service.address
                answer = await _ask(connection, content)
                sent.statuses[0 if answer is None else answer.status] += 1
                if answer is not None and answer.status == 200:
                    break
                await asyncio.sleep(0.1)
            sent.acknowledged += 1
            sent.replayed += answer.json()["replayed"]
        await connection.close()

    async def killer() -> None:
        while sent.acknowledged < RATINGS:
            if service.is_due(sent.acknowledged):
                await asyncio.to_thread(service.kill, sent.acknowledged)
            await asyncio.sleep(0.001)

    await asyncio.gather(killer(), *(client() for _ in range(CLIENTS)))
    return sent


@dataclass
class Cut:
    """The statuses of the answers while the database was unavailable (0 for none)."""

    ratings: Counter[int] = field(default_factory=Counter)
    predictions: Counter[int] = field(default_factory=Counter)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    without_retry_after: int = 0
    #: Repetitions of refused ratings, which `ratings` does not count.
    repeated: int = 0
    slowest_s: float = 0.0


async def _while_cut(address: str, url: str) -> Cut:
    """Cut the connections to the database, refuse new ones, and accept them again."""
    cut, over = Cut(), asyncio.Event()
    waiting = ((user, movie) for user in range(1, 10**6) for movie in MOVIE_IDS)

    async def rater() -> None:
        connection = Connection(address)
        while not over.is_set():
            user, movie = next(waiting)
            answer = await _ask(connection, _rating(user, movie, 4.0))
            cut.ratings[0 if answer is None else answer.status] += 1
            if answer is not None and answer.status == 200:
                cut.acknowledged.add((user, movie))
            elif answer is not None and answer.status == 503:
                cut.without_retry_after += "retry-after" not in answer.headers
                # It may have been stored before the connection was cut: send it until it is known.
                while (answer := await _ask(connection, _rating(user, movie, 4.0))) is None or (
                    answer.status != 200
                ):
                    assert answer is None or answer.status == 503
                    cut.repeated += 1
                    await asyncio.sleep(0.2)
                cut.acknowledged.add((user, movie))

    async def reader(number: int) -> None:
        connection, turn = Connection(address), number
        while not over.is_set():
            turn += 1
            started = time.monotonic()
            # Users with and without ratings; long lists take the routes.
            top_k = 2 if turn % 2 else 1000
            body = request("POST", f"/predict?top_k={top_k}", [turn % 50 + 1, 10**6 + turn])
            answer = await _ask(connection, body)
            cut.predictions[0 if answer is None else answer.status] += 1
            cut.slowest_s = max(cut.slowest_s, time.monotonic() - started)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(rater()) for _ in range(6)]
    tasks += [asyncio.create_task(reader(number)) for number in range(4)]
    await _until(lambda: cut.ratings[200] > 50 and cut.predictions[200] > 50)
    for _ in range(15):
        answered = cut.ratings.total()
        await asyncio.to_thread(_terminate, url)
        await _until(lambda answered=answered: cut.ratings.total() > answered + 6)  # type: ignore[misc]
    await asyncio.to_thread(_allow_connections, url, False)
    await asyncio.to_thread(_terminate, url)
    repeated, predicted = cut.repeated, cut.predictions[200]
    await _until(lambda: cut.repeated > repeated + 6 and cut.predictions[200] > predicted + 50)
    acknowledged = cut.ratings[200]
    await asyncio.to_thread(_allow_connections, url, True)
    await _until(lambda: cut.ratings[200] > acknowledged)
    over.set()
    await asyncio.gather(*tasks)
    return cut


async def _until(holds: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.05)


def _terminate(url: str) -> None:
    """Cut every connection to the database."""
    with contextlib.closing(psycopg.connect(f"{SERVER}/postgres")) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [url.rpartition("/")[2]],
            )


def _allow_connections(url: str, allow: bool) -> None:
    with contextlib.closing(psycopg.connect(f"{SERVER}/postgres")) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            name = url.rpartition("/")[2]
            # A connection limit of 0 would not apply to a superuser; this does.
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {allow}")


def _rating(user: int, movie: int, stars: float) -> bytes:
    body: dict[str, Any] = {"user_id": user, "ratings": [{"movie_id": movie, "stars": stars}]}
    return request("POST", "/ratings", body, {"Idempotency-Key": f"{user}-{movie}"})


async def _ask(connection: Connection, content: bytes) -> Answer | None:
    """Return the answer; None if the connection was lost or refused."""
    try:
        return await connection.ask(content)
    except (OSError, TimeoutError):
        await connection.close()
        return None


def stored_in(url: str) -> dict[tuple[int, int], float]:
    """Read the ratings from the database directly."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            rows = connection.execute(
                text("SELECT user_id, movie_id, stars FROM feedback_ratings")
            ).all()
    finally:
        engine.dispose()
    assert len({(user, movie) for user, movie, _ in rows}) == len(rows)
    return {(user, movie): stars for user, movie, stars in rows}
