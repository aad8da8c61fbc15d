"""Champions change under load: no answer fails or mixes models; broken ones are rejected."""

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
from tests.service.conftest import Service, own_settings, promote, running_service, wait_for
from tests.service.raw import Answer, Connection, request

SWAPS, CONNECTIONS = 10, 12
#: The requirement is 15 s with a refresh every 5 s; here the registry is read every second.
POLL_S, SEEN_S = 1.0, 11.0


#: Requests whose answers differ between the two models.
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
    """A service with two models that answer differently; the first is the champion."""

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


def test_ten_new_champions_under_load(
    two: Two, record_property: Callable[[str, object], None]
) -> None:
    expected = {
        version.number: asyncio.run(_answers_of(two.service.address, version))
        for version in two.versions
    }
    first, second = (expected[version.number] for version in two.versions)
    assert all(a != b for a, b in zip(first, second, strict=True)), "the answers must differ"
    seen = asyncio.run(_swapped(two, expected))
    record_property("answers", sum(seen.answers.values()))
    record_property("seen_s", [round(seconds, 1) for seconds in seen.after_s])
    assert seen.failed == []
    assert len(seen.after_s) == SWAPS
    assert max(seen.after_s) < SEEN_S
    # Both models answered many requests.
    assert min(seen.answers.values()) > 100
    assert set(seen.answers) == {version.number for version in two.versions}
    # A connection never gets the old model after the new one.
    assert max(seen.changes) <= SWAPS
    assert swaps(two.service, "taken") >= SWAPS
    assert swaps(two.service, "refused") == 0


def test_broken_version_is_rejected_and_the_last_good_one_answers(two: Two) -> None:
    good, _ = two.versions
    promote(two.settings, good)
    wait_for(lambda: version_of(two.service) == good.number)
    altered = _registered(two.settings, two.folder, "moovier_popular_3_trained_0", [5, 5, 5, 5, 5])
    _alter(two, altered)
    # One score too few for the catalogue.
    short = _registered(two.settings, two.folder, "moovier_popular_4_trained_0", [5, 5, 5, 5])
    # Its scores are not finite.
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
            prefix = f"the champion {broken.name} (version {broken.number}) was rejected: "
            assert any(problem.startswith(prefix) for problem in ready.json()["degraded"]), (
                ready.text
            )
            metrics = client.get("/metrics").text
            assert f"moovier_champion_version {good.number}.0" in metrics
            assert "moovier_champion_refused 1.0" in metrics
            assert "moovier_registry_reachable 1.0" in metrics
            # A request by its number gets an error.
            named = client.post(f"/predict?model_name={broken.number}", json=[7])
            assert named.status_code == 503
            assert named.json().keys() == {"detail"}
        assert f"rejected champion {broken.name} (version {broken.number})" in logged(two.service)
    # Later refreshes neither count nor log it again, and a new champion is loaded.
    time.sleep(3 * POLL_S)
    assert swaps(two.service, "refused") == 3
    assert logged(two.service).count("rejected champion") == 3
    promote(two.settings, two.versions[1])
    wait_for(lambda: version_of(two.service) == two.versions[1].number)
    with two.service.client() as client:
        wait_for(lambda: "moovier_champion_refused 0.0" in client.get("/metrics").text)
        assert not any(
            "rejected" in problem for problem in client.get("/readyz").json()["degraded"]
        )


@dataclass
class Seen:
    """The answers during the swaps.

    ``answers`` counts by version, ``after_s`` has the seconds from each promotion to the first
    answer of the new champion, and ``changes`` the changes of the version on each connection.
    """

    answers: Counter[int] = field(default_factory=Counter)
    after_s: list[float] = field(default_factory=list)
    changes: list[int] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


async def _swapped(two: Two, expected: dict[int, list[Any]]) -> Seen:
    seen, over = Seen(), asyncio.Event()
    latest = {"version": two.versions[0].number}

    async def client(number: int) -> None:
        connection = Connection(two.service.address)
        last, changes, turn = 0, 0, number
        while not over.is_set():
            turn = (turn + 1) % len(BODIES)
            answer = await connection.ask(_request(turn))
            if answer is None or answer.status != 200:
                seen.failed.append(f"{BODIES[turn]}: {answer}")
                continue
            version = int(answer.headers["x-moovier-model-version"])
            if _without_id(answer) != expected.get(version, [None] * len(BODIES))[turn]:
                seen.failed.append(f"{BODIES[turn]}: not what {version} says: {answer}")
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


async def _answers_of(address: str, version: Version) -> list[Any]:
    """Return the version's answers to ``BODIES``, requested by its number."""
    connection, answers = Connection(address), []
    for turn in range(len(BODIES)):
        answer = await connection.ask(_request(turn, version.number))
        assert answer is not None
        assert answer.status == 200, answer
        assert answer.headers["x-moovier-model-version"] == str(version.number)
        answers.append(_without_id(answer))
    await connection.close()
    return answers


def _request(turn: int, version: int | None = None) -> bytes:
    path, body = BODIES[turn]
    if version is not None and path.startswith("/predict"):
        path += f"&model_name={version}"
    elif version is not None:
        body = {**body, "model_name": str(version)}
    return request("POST", path, body)


def _without_id(answer: Answer) -> Any:
    """Return the body without the request id."""
    body = answer.json()
    if "request_id" in body:
        assert body.pop("request_id")
        assert str(body["model_version"]) == answer.headers["x-moovier-model-version"]
        assert body["model"] == answer.headers["x-moovier-model"]
    return body


def _registered(settings: Settings, folder: Path, name: str, counts: list[float]) -> Version:
    model = replace(toy_bundle(name), arrays={"counts": np.array(counts)})
    return register(settings, folder, model)


def _alter(two: Two, version: Version) -> None:
    """Change one byte of the scores in MLflow's store."""
    named = [
        path
        for path in (two.mlflow.folder / "artifacts").rglob("bundle/scoring.npz")
        if version.name in path.with_name("bundle.json").read_text()
    ]
    # Other tests share the server, and may have published the same name before.
    file = max(named, key=lambda path: path.stat().st_mtime)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def swaps(service: Service, result: str) -> int:
    with service.client() as client:
        text = client.get("/metrics").text
    match = re.search(rf'moovier_champion_swaps_total{{result="{result}"}} ([0-9.]+)', text)
    return int(float(match[1])) if match else 0


def _refused(service: Service, count: int) -> bool:
    return swaps(service, "refused") == count


def logged(service: Service) -> str:
    return service.log.read_text(errors="replace")


def version_of(service: Service) -> int:
    with service.client() as client:
        answer = client.post("/predict", json=[7])
    return int(answer.headers["x-moovier-model-version"])
