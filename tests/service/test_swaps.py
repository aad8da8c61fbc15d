"""Champions change under load: no answer fails, none is a mixture, a broken one is kept out."""

from __future__ import annotations

import asyncio
import functools
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moovier.jobs.registration import open_registry
from moovier.registry.version import Version
from moovier.settings import Settings
from tests.fixtures import toy_bundle
from tests.registry_fixtures import register
from tests.servers import Server
from tests.service.conftest import Service, own_settings, promote, running_service
from tests.service.raw import Answer, Connection, request

SWAPS, CONNECTIONS = 10, 12
#: The bar is 15 s with a look at the registry every 5 s; here there is one every second.
POLL_S, SEEN_S = 1.0, 11.0


#: Each to `/predict` and `/recommend`; what they get tells the two models apart.
BODIES: list[tuple[str, Any]] = [
    ("/predict?top_k=3", [7, 11]),
    ("/predict?top_k=2", [13]),
    ("/predict?top_k=3", [999, 7]),
    ("/recommend", {"user_id": 7, "top_k": 3}),
    ("/recommend", {"ratings": {"1": 5}, "top_k": 2}),
    ("/recommend", {"ratings": {"32": 1, "47": 4}, "genres": ["Drama"], "top_k": 3}),
]


@dataclass
class Two:
    """Two models with different answers, the first of them the champion."""

    service: Service
    settings: Settings
    mlflow: Server
    folder: Path
    versions: tuple[Version, Version]


@pytest.fixture(scope="module")
def two(mlflow: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    folder = tmp_path_factory.mktemp("swaps")
    settings = own_settings(mlflow, folder / "home")
    first = _registered(settings, folder, "moovier_popular_1_trained_0", [9, 8, 7, 6, 5])
    second = _registered(settings, folder, "moovier_popular_2_trained_0", [1, 2, 3, 4, 5])
    promote(settings, first)
    with running_service(settings, MOOVIER_REGISTRY_POLL_S=str(POLL_S)) as service:
        yield Two(service, settings, mlflow, folder, (first, second))


def test_ten_swaps_under_load(two: Two, record_property: Callable[[str, object], None]) -> None:
    expected = {
        version.number: asyncio.run(_said_by(two.service.address, version))
        for version in two.versions
    }
    one, other = (expected[version.number] for version in two.versions)
    assert all(a != b for a, b in zip(one, other, strict=True)), "they must be told apart"
    seen = asyncio.run(_swapped(two, expected))
    record_property("answers", sum(seen.answers.values()))
    record_property("seen_s", [round(one, 1) for one in seen.after_s])
    assert seen.failed == []
    assert len(seen.after_s) == SWAPS
    assert max(seen.after_s) < SEEN_S
    # Both answered throughout, and both kinds of request were many.
    assert min(seen.answers.values()) > 100
    assert set(seen.answers) == {version.number for version in two.versions}
    # A connection never goes back to the old model once it met the new one.
    assert max(seen.changes) <= SWAPS
    assert swaps(two.service, "taken") >= SWAPS
    assert swaps(two.service, "refused") == 0


def test_a_broken_version_is_refused_and_the_last_good_one_goes_on(two: Two) -> None:
    good, _ = two.versions
    promote(two.settings, good)
    wait_for(lambda: version_of(two.service) == good.number)
    altered = _registered(two.settings, two.folder, "moovier_popular_3_trained_0", [5, 5, 5, 5, 5])
    _alter(two, altered)
    # One row too few: it cannot score the catalogue.
    short = _registered(two.settings, two.folder, "moovier_popular_4_trained_0", [5, 5, 5, 5])
    # It scores, but not with numbers.
    nan = _registered(two.settings, two.folder, "moovier_popular_5_trained_0", [np.nan] * 5)
    for count, broken in enumerate((altered, short, nan), start=1):
        promote(two.settings, broken)
        wait_for(functools.partial(_refused, two.service, count))
        with two.service.client() as client:
            for _ in range(20):
                answer = client.post("/predict?top_k=3", json=[7, 11])
                assert answer.status_code == 200
                assert answer.headers["x-moovier-model-version"] == str(good.number)
            ready = client.get("/readyz")
            assert ready.status_code == 200
            assert ready.json()["champion"] == {"name": good.name, "version": good.number}
            told = f"the champion {broken.name} (version {broken.number}) was refused: "
            assert any(one.startswith(told) for one in ready.json()["degraded"]), ready.text
            figures = client.get("/metrics").text
            assert f"moovier_champion_version {good.number}.0" in figures
            assert "moovier_champion_refused 1.0" in figures
            assert "moovier_registry_reachable 1.0" in figures
            # Asked for by name, it is refused as well, and says so.
            named = client.post(f"/predict?model_name={broken.number}", json=[7])
            assert named.status_code == 503
            assert named.json().keys() == {"detail"}
        assert f"refused champion {broken.name} (version {broken.number})" in logged(two.service)
    # It is not counted and told again at every look, and the way back is open.
    time.sleep(3 * POLL_S)
    assert swaps(two.service, "refused") == 3
    assert logged(two.service).count("refused champion") == 3
    promote(two.settings, two.versions[1])
    wait_for(lambda: version_of(two.service) == two.versions[1].number)
    with two.service.client() as client:
        wait_for(lambda: "moovier_champion_refused 0.0" in client.get("/metrics").text)
        assert not any("refused" in one for one in client.get("/readyz").json()["degraded"])


@dataclass
class Seen:
    """``answers``: by version. ``after_s``: from the promotion to the first answer by the new
    champion. ``changes``: of the version, by connection."""

    answers: Counter[int] = field(default_factory=Counter)
    after_s: list[float] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def _swapped(two: Two, expected: dict[int, list[Any]]) -> Seen:
    seen, over = Seen(), asyncio.Event()
    latest = {"version": two.versions[0].number}

    async def client(number: int) -> None:
        connection = Connection(two.service.address)
        last, changes, assignment = 0, 0, number
        while not over.is_set():
            assignment = (assignment + 1) % len(BODIES)
            answer = await connection.ask(_request(assignment))
            if answer is None or answer.status != 200:
                seen.failed.append(f"{BODIES[assignment]}: {answer}")
                continue
            version = int(answer.headers["x-moovier-model-version"])
            if _told(answer) != expected.get(version, [None] * len(BODIES))[assignment]:
                seen.failed.append(f"{BODIES[assignment]}: not what {version} says: {answer}")
            if last and version != last:
                changes += 1
            last = version
            seen.answers[version] += 1
            latest["version"] = version
        seen.changes.append(changes)
        await connection.close()

    clients = [asyncio.create_task(client(number)) for number in range(CONNECTIONS)]
    registry = open_registry(two.settings)
    for swap in range(SWAPS):
        new = two.versions[(swap + 1) % 2]
        await asyncio.to_thread(registry.promote, new, "for a test")
        promoted = time.monotonic()
        while latest["version"] != new.number and time.monotonic() - promoted < 2 * SEEN_S:
            await asyncio.sleep(0.01)
        seen.after_s.append(time.monotonic() - promoted)
        await asyncio.sleep(0.3)
    over.set()
    await asyncio.gather(*clients)
    return seen


async def _said_by(address: str, version: Version) -> list[Any]:
    """What the version says to each of ``BODIES`` when it is asked for by number."""
    connection, said = Connection(address), []
    for assignment in range(len(BODIES)):
        answer = await connection.ask(_request(assignment, version.number))
        assert answer is not None
        assert answer.status == 200, answer
        assert answer.headers["x-moovier-model-version"] == str(version.number)
        said.append(_told(answer))
    await connection.close()
    return said


def _request(assignment: int, version: int | None = None) -> bytes:
    path, body = BODIES[assignment]
    if version is not None and path.startswith("/predict"):
        path += f"&model_name={version}"
    elif version is not None:
        body = {**body, "model_name": str(version)}
    return request("POST", path, body)


def _told(answer: Answer) -> Any:
    """The body, without what differs from request to request."""
    said = answer.json()
    if "request_id" in said:
        assert said.pop("request_id")
        assert str(said["model_version"]) == answer.headers["x-moovier-model-version"]
        assert said["model"] == answer.headers["x-moovier-model"]
    return said


def _registered(settings: Settings, folder: Path, name: str, counts: list[float]) -> Version:
    model = replace(toy_bundle(name), arrays={"counts": np.array(counts)})
    return register(settings, folder, model)


def _alter(two: Two, version: Version) -> None:
    """One byte of the scores in MLflow's store."""
    named = [
        path
        for path in (two.mlflow.folder / "artifacts").rglob("bundle/scoring.npz")
        if version.name in path.with_name("bundle.json").read_text()
    ]
    # Other tests share the server, and may have published the same name before.
    found = max(named, key=lambda path: path.stat().st_mtime)
    content = bytearray(found.read_bytes())
    content[len(content) // 2] ^= 1
    found.write_bytes(bytes(content))


def swaps(service: Service, result: str) -> int:
    with service.client() as client:
        text = client.get("/metrics").text
    found = re.search(rf'moovier_champion_swaps_total{{result="{result}"}} ([0-9.]+)', text)
    return int(float(found[1])) if found else 0


def _refused(service: Service, count: int) -> bool:
    return swaps(service, "refused") == count


def logged(service: Service) -> str:
    return service.log.read_text(errors="replace")


def version_of(service: Service) -> int:
    with service.client() as client:
        answer = client.post("/predict", json=[7])
    return int(answer.headers["x-moovier-model-version"])


def wait_for(holds: Callable[[], bool], patience_s: float = 60.0) -> None:
    until = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.1)
