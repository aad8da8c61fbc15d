"""Ten thousand malformed requests: each is answered, and none has an effect.

The seed is fixed, so that a failure can be repeated; ``MOOVIER_TEST_SEED`` sets another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.dvc_checkout import ROOT
from tests.servers import Server, worker_of
from tests.service.conftest import Service
from tests.service.malformed import Malformed
from tests.service.raw import Answer, Connection, request
from tests.service.samples import sample_service

REQUESTS, CONNECTIONS = 5_000, 16
SEED = int(os.environ.get("MOOVIER_TEST_SEED", "1"))
#: Folders of this machine that the service uses.
PLACES = [f"{place}/" for place in (ROOT, sys.prefix, tempfile.gettempdir(), Path.home())]
#: Text that no answer may contain: stack traces, file paths and internal names.
TELLTALE = re.compile(
    rb"Traceback|File \"|, line [0-9]|\.py\b|site-packages|<class |"
    rb"object at 0x|sqlite|SELECT |pydantic|Error\(|" + "|".join(map(re.escape, PLACES)).encode()
)


@pytest.fixture(scope="module")
def service(
    mlflow: Server, tmp_path_factory: pytest.TempPathFactory, sample_data: Path
) -> Iterator[Service]:
    with sample_service(mlflow, tmp_path_factory.mktemp("fuzz"), sample_data) as running:
        yield running


def test_malformed_requests_break_nothing(
    service: Service, record_property: Callable[[str, object], None]
) -> None:
    before = answers_of(service)
    process = worker_of(service.process, "Moovier")
    assert process is not None
    malformed = Malformed(SEED)
    work = [malformed.any() for _ in range(REQUESTS)]
    started = time.monotonic()
    statuses, complaints = asyncio.run(_sent(service.address, work))
    record_property("seconds", round(time.monotonic() - started, 1))
    record_property("statuses", dict(sorted(statuses.items())))
    assert complaints == []
    assert sum(statuses.values()) == REQUESTS
    # The service recognised most requests, and its errors say what is wrong.
    assert sum(count for status, count in statuses.items() if 400 <= status < 500) > REQUESTS / 2
    assert answers_of(service) == before
    assert process.is_running()
    assert worker_of(service.process, "Moovier") == process
    assert "Traceback" not in service.log.read_text(errors="replace")
    with service.client() as client:
        assert "moovier_requests_in_flight 0.0" in client.get("/metrics").text


def test_unfinished_requests_block_no_other_request(service: Service) -> None:
    url = urlsplit(service.address)
    whole = request("POST", "/predict", [1])
    idle = []
    for number in range(200):
        connection = socket.create_connection((str(url.hostname), int(url.port or 80)))
        connection.sendall(whole[: 1 + number % (len(whole) - 1)])
        idle.append(connection)
    try:
        started = time.monotonic()
        assert answers_of(service)
        assert time.monotonic() - started < 5
    finally:
        for connection in idle:
            connection.close()


def test_disconnected_clients_do_not_delay_a_stop(service: Service) -> None:
    """Run last in this file: the service stops."""
    worker = worker_of(service.process, "Moovier")
    assert worker is not None
    url = urlsplit(service.address)
    for _ in range(20):
        with socket.create_connection((str(url.hostname), int(url.port or 80))) as connection:
            connection.sendall(request("POST", "/predict", [1])[:-1])
    service.process.terminate()
    try:
        worker.wait(8)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()


def answers_of(service: Service) -> list[Any]:
    """Return the answers to a few valid requests about users that no other request names."""
    with service.client(timeout_s=20) as client:
        answers = [
            client.post("/predict?top_k=3", json=[2, 4]),
            client.get("/popular?top_k=3"),
            client.get("/movies?query=toy"),
            client.get("/models"),
        ]
    assert [answer.status_code for answer in answers] == [200] * 4
    bodies = [answer.json() for answer in answers]
    bodies[1].pop("request_id")
    return bodies


async def _sent(
    address: str, work: list[tuple[str, bytes, bool]]
) -> tuple[Counter[int], list[str]]:
    """Return how often each status came (0 for no answer), and complaints about answers."""
    statuses: Counter[int] = Counter()
    complaints: list[str] = []
    waiting = iter(work)

    async def client() -> None:
        connection = Connection(address)
        for kind, content, half in waiting:
            answer = await connection.ask(content, half=half)
            statuses[0 if answer is None else answer.status] += 1
            complaint = None
            if answer is None:
                complaint = None if kind in UNANSWERED else "no answer"
            elif answer.status >= 500:
                complaint = f"{answer.status} {answer.body[:300]!r}"
            elif answer.status >= 400 and (match := TELLTALE.search(answer.body)):
                complaint = f"{answer.status} shows {match[0]!r}: {answer.body[:300]!r}"
            elif _ours(kind, content, answer):
                detail = _detail(answer.body)
                if detail is None or len(detail) > 20_000:
                    complaint = f"{answer.status} of another shape: {answer.body[:300]!r}"
            if complaint is not None:
                complaints.append(f"{kind}: {complaint} to {content[:300]!r}")
        await connection.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return statuses, complaints


def _ours(kind: str, content: bytes, answer: Answer) -> bool:
    """Return whether the application made this error, so that it has the application's form."""
    # BentoML itself answers "Not Found" to a path with a line break.
    line_break = b"%0d%0a" in content.partition(b" HTTP/")[0]
    return answer.status >= 400 and bool(answer.body) and kind not in NOT_HTTP and not line_break


def _detail(body: bytes) -> str | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    if not isinstance(answer, dict) or answer.keys() != {"detail"}:
        return None
    detail = answer["detail"]
    return detail if isinstance(detail, str) else None


#: Kinds that the HTTP server itself refuses, and kinds to which it may close the connection.
NOT_HTTP = {"garbage", "oversized header", "long path", "framing"}
UNANSWERED = {*NOT_HTTP, "truncated body"}
