"""Whatever is killed, and whatever the database does: a rating that was acknowledged is there."""

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
import psycopg2  # type: ignore[import-untyped]
import pytest
from sqlalchemy import create_engine, text

from moovier.settings import Settings
from tests.fixtures import MOVIE_IDS
from tests.postgres import SERVER, own_database
from tests.servers import Server, worker_of
from tests.service.conftest import Service, own_settings, promote, published, running_service
from tests.service.raw import Answer, Connection, request

RATINGS, CLIENTS = 1_000, 8
#: What is killed, in turn; each at a moment of the seed's choice.
KILLED = ("Moovier", "Trainer", "master", "Moovier")
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
    """With a champion."""
    settings = own_settings(mlflow, tmp_path / "home")
    promote(settings, published(settings, tmp_path))
    return settings


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_no_acknowledged_rating_is_lost_when_processes_are_killed(
    kind: str,
    home: Settings,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    with Killed(home, url) as service:
        started = time.monotonic()
        told = asyncio.run(_rated(service))
        record_property("seconds", round(time.monotonic() - started, 1))
        record_property("statuses", dict(told.statuses))
        record_property("kills", service.kills)
        # Those that came again because their answer was lost with the process, but not the rating.
        record_property("replayed", told.replayed)
        shown = service.own_ratings(1)
    assert [name for name, _ in service.kills] == list(KILLED)
    assert told.acknowledged == RATINGS
    # Neither a conflict with itself nor a server error; 0: the connection was lost.
    assert set(told.statuses) <= {0, 200, 503}
    assert told.statuses[0] > 0, "no request was under way when a process was killed"
    stored = stored_in(url)
    assert len(stored) == RATINGS
    assert stored == {(user, movie): stars for user, movie, stars in wanted()}
    assert shown == {movie: stars for user, movie, stars in wanted() if user == 1}


def test_cut_connections_to_postgres_stop_no_answer(
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
    assert cut.ratings[503] > 0, "the database was away and nobody was told"
    assert cut.ratings[200] > 50
    assert cut.without_retry_after == 0
    assert cut.again
    assert set(stored_in(postgres_url)) == cut.acknowledged


def wanted() -> Iterator[tuple[int, int, float]]:
    """A thousand ratings: each of 200 people rates each of five movies."""
    for number in range(RATINGS):
        user, movie = divmod(number, len(MOVIE_IDS))
        yield user + 1, MOVIE_IDS[movie], (number % 10 + 1) / 2


class Killed:
    """A service of which processes are killed, and which is started again as need be."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.kills: list[tuple[str, int]] = []
        self._settings, self._url = settings, url
        self._stack = contextlib.ExitStack()
        self._service: Service | None = None
        seeded = random.Random(SEED)
        share = RATINGS // (len(KILLED) + 1)
        self._due = [share * turn + seeded.randrange(share) for turn in range(len(KILLED))]

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
        """The next one, at once; a master is started again, which takes seconds."""
        assert self._service is not None
        name = KILLED[len(self.kills)]
        if name == "master":
            master = psutil.Process(self._service.process.pid)
            left = master.children(recursive=True)
            master.kill()
            # Its workers lead sessions of their own and go on. Whoever runs the service (systemd,
            # a container) ends them before it starts another.
            time.sleep(0.2)
            for process in left:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._stack.close()
            self._start()
        else:
            until = time.monotonic() + PATIENCE_S
            while (worker := worker_of(self._service.process, name)) is None:
                assert time.monotonic() < until, f"no worker of {name}"
                time.sleep(0.05)
            worker.kill()
        self.kills.append((name, acknowledged))

    def _start(self) -> None:
        running = running_service(self._settings, MOOVIER_DATABASE_URL=self._url)
        self._service = self._stack.enter_context(running)


@dataclass
class Told:
    statuses: Counter[int] = field(default_factory=Counter)
    acknowledged: int = 0
    replayed: int = 0


async def _rated(service: Killed) -> Told:
    """Send all ratings, each again and again until it is acknowledged."""
    told, waiting = Told(), wanted()

    async def client() -> None:
        connection, address = Connection(service.address), service.address
        for user, movie, stars in waiting:
            content = _rating(user, movie, stars)
            until = time.monotonic() + PATIENCE_S
            while True:
                assert time.monotonic() < until, "never acknowledged"
                if address != service.address:
                    await connection.close()
                    connection, address = Connection(service.address), service.address
                answer = await _asked(connection, content)
                told.statuses[0 if answer is None else answer.status] += 1
                if answer is not None and answer.status == 200:
                    break
                await asyncio.sleep(0.1)
            told.acknowledged += 1
            told.replayed += answer.json()["replayed"]
        await connection.close()

    async def killer() -> None:
        while told.acknowledged < RATINGS:
            if service.is_due(told.acknowledged):
                await asyncio.to_thread(service.kill, told.acknowledged)
            await asyncio.sleep(0.001)

    await asyncio.gather(killer(), *(client() for _ in range(CLIENTS)))
    return told


@dataclass
class Cut:
    ratings: Counter[int] = field(default_factory=Counter)
    predictions: Counter[int] = field(default_factory=Counter)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    without_retry_after: int = 0
    slowest_s: float = 0.0
    again: bool = False


async def _while_cut(address: str, url: str) -> Cut:
    """Connections are cut for some seconds, then none is let in for some, then all is well."""
    cut, over = Cut(), asyncio.Event()
    waiting = ((user, movie) for user in range(1, 10**6) for movie in MOVIE_IDS)

    async def rater() -> None:
        connection = Connection(address)
        while not over.is_set():
            user, movie = next(waiting)
            answer = await _asked(connection, _rating(user, movie, 4.0))
            cut.ratings[0 if answer is None else answer.status] += 1
            if answer is not None and answer.status == 200:
                cut.acknowledged.add((user, movie))
            elif answer is not None and answer.status == 503:
                cut.without_retry_after += "retry-after" not in answer.headers
                # It was not stored, or it was and nobody could say so: ask until it is known.
                while (answer := await _asked(connection, _rating(user, movie, 4.0))) is None or (
                    answer.status != 200
                ):
                    assert answer is None or answer.status == 503
                    await asyncio.sleep(0.2)
                cut.acknowledged.add((user, movie))

    async def reader(number: int) -> None:
        connection, turn = Connection(address), number
        while not over.is_set():
            turn += 1
            started = time.monotonic()
            # Now people who rated, now others; long lists take the way through the routes.
            top_k = 2 if turn % 2 else 1000
            asked = request("POST", f"/predict?top_k={top_k}", [turn % 50 + 1, 10**6 + turn])
            answer = await _asked(connection, asked)
            cut.predictions[0 if answer is None else answer.status] += 1
            cut.slowest_s = max(cut.slowest_s, time.monotonic() - started)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(rater()) for _ in range(6)]
    tasks += [asyncio.create_task(reader(number)) for number in range(4)]
    await asyncio.sleep(1)
    for _ in range(15):
        await asyncio.to_thread(_terminate, url)
        await asyncio.sleep(0.2)
    await asyncio.to_thread(_let_in, url, False)
    await asyncio.to_thread(_terminate, url)
    await asyncio.sleep(4)
    before = cut.ratings[200]
    await asyncio.to_thread(_let_in, url, True)
    await asyncio.sleep(3)
    cut.again = cut.ratings[200] > before
    over.set()
    await asyncio.gather(*tasks)
    return cut


def _terminate(url: str) -> None:
    """Cut every connection to the database."""
    with contextlib.closing(psycopg2.connect(f"{SERVER}/postgres")) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [url.rpartition("/")[2]],
            )


def _let_in(url: str, whether: bool) -> None:
    with contextlib.closing(psycopg2.connect(f"{SERVER}/postgres")) as server:
        server.autocommit = True
        with server.cursor() as cursor:
            name = url.rpartition("/")[2]
            # A superuser is let in by a limit of connections, but not by this.
            cursor.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {whether}")


def _rating(user: int, movie: int, stars: float) -> bytes:
    body: dict[str, Any] = {"user_id": user, "ratings": [{"movie_id": movie, "stars": stars}]}
    return request("POST", "/ratings", body, {"Idempotency-Key": f"{user}-{movie}"})


async def _asked(connection: Connection, content: bytes) -> Answer | None:
    """None where the connection was lost, or never made."""
    try:
        return await connection.ask(content)
    except (OSError, TimeoutError):
        await connection.close()
        return None


def stored_in(url: str) -> dict[tuple[int, int], float]:
    """What is in the database, past the service."""
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
