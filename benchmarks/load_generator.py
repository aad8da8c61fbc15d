"""Load a server over kept-alive connections, each with one request at a time.

HTTP libraries for Python take longer for a request than the service for its answer. This module
therefore implements the little HTTP/1.1 that it needs: it sends the bytes of a request when the
answer to the last one is complete.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvloop


@dataclass(frozen=True)
class Load:
    """The result of a load.

    Attributes:
        requests_per_s: Answers per second.
        latencies_s: (n,) seconds of all answers, including the failed ones.
        failed: Number of answers with a status other than 200.
    """

    requests_per_s: float
    latencies_s: np.ndarray
    failed: int

    def milliseconds(self, percentile: float) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return float(np.percentile(self.latencies_s, percentile) * 1e3)


def post(host: str, port: int, path: str, content: bytes) -> bytes:
    """Return the bytes of a POST request with a JSON body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def run(
    host: str, port: int, requests: bytes | Sequence[bytes], *, connections: int, seconds: float
) -> Load:
    """Send ``requests`` cyclically over several connections for ``seconds``.

    Raises:
        ConnectionError: The server closed a connection or cannot be reached.
    """
    cycle = [requests] if isinstance(requests, bytes) else requests
    return uvloop.run(_run(host, port, cycle, connections, seconds))


async def _run(
    host: str, port: int, requests: Sequence[bytes], connections: int, seconds: float
) -> Load:
    loop = asyncio.get_running_loop()
    protocols = []
    cycle = itertools.cycle(requests)
    for _ in range(connections):
        _, protocol = await loop.create_connection(lambda: _Client(cycle), host, port)
        protocols.append(protocol)
    started = time.perf_counter()
    for protocol in protocols:
        protocol.send()
    await asyncio.sleep(seconds)
    for protocol in protocols:
        protocol.stop()
    await asyncio.gather(*(protocol.over for protocol in protocols))
    elapsed_s = time.perf_counter() - started
    latencies = np.array([latency for protocol in protocols for latency in protocol.latencies_s])
    failed = sum(protocol.failed for protocol in protocols)
    return Load(latencies.size / elapsed_s, latencies, failed)


@dataclass(eq=False)
class _Client(asyncio.Protocol):
    """A connection with one request at a time."""

    requests: Iterator[bytes]
    latencies_s: list[float] = field(default_factory=list)
    failed: int = 0

    def __post_init__(self) -> None:
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""
        self._stopped = False
        self._sent_at = 0.0
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def send(self) -> None:
        self._sent_at = time.perf_counter()
        self._transport.write(next(self.requests))

    def stop(self) -> None:
        """Close the connection after the next answer."""
        self._stopped = True

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head):
            return
        self.latencies_s.append(time.perf_counter() - self._sent_at)
        self.failed += not head.startswith(b"HTTP/1.1 200 ")
        self._received = b""
        if self._stopped:
            self._transport.close()
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.over.done():
            return
        if self._stopped and exc is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(exc or ConnectionError("the server closed the connection"))


def _content_length(head: bytes) -> int:
    name = b"\r\ncontent-length:"
    place = head.lower().find(name)
    if place < 0:
        raise ConnectionError("the answer has no Content-Length")
    value, _, _ = head[place + len(name) :].partition(b"\r\n")
    return int(value)


def summary(load: Load) -> Mapping[str, float]:
    """Return the metrics of a load as a row of a report."""
    return {
        "requests_per_s": load.requests_per_s,
        "p50_ms": load.milliseconds(50),
        "p99_ms": load.milliseconds(99),
        "failed": load.failed,
    }
