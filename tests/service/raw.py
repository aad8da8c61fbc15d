"""A minimal HTTP client for requests that no library sends, and for many requests at low cost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

#: Seconds within which a whole answer must arrive; a busy machine needs many for 40,000 movies.
ANSWER_S = 120.0


@dataclass(frozen=True)
class Answer:
    """A response; header names are in lower case, and the last header of a name counts."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to a server, opened again after it was closed."""

    def __init__(self, address: str) -> None:
        url = urlsplit(address)
        self._host, self._port = str(url.hostname), int(url.port or 80)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes, *, half: bool = False) -> Answer | None:
        """Return the answer; None if the server closed the connection without one.

        With ``half`` the client closes its side after the request.
        """
        async with asyncio.timeout(ANSWER_S):
            if self._streams is None:
                self._streams = await asyncio.open_connection(self._host, self._port)
            reader, writer = self._streams
            try:
                writer.write(request)
                await writer.drain()
                if half:
                    writer.write_eof()
            except OSError:
                pass  # the server may have answered before it read everything
            try:
                answer = await _answer(reader, head=request.startswith(b"HEAD "))
            except (asyncio.IncompleteReadError, ConnectionError):
                await self.close()
                return None
        if half or answer.headers.get("connection", "").lower() == "close":
            await self.close()
        return answer

    async def close(self) -> None:
        if self._streams is not None:
            writer = self._streams[1]
            self._streams = None
            writer.close()


def request(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """Return a valid request; a ``body`` that is not bytes is sent as JSON."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    named = {"Host": "127.0.0.1", "Content-Length": str(len(content)), **(headers or {})}
    if body is not None:
        named.setdefault("Content-Type", "application/json")
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + content


async def _answer(reader: asyncio.StreamReader, *, head: bool) -> Answer:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(lines[0].split(" ")[1])
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if head or status in (204, 304):
        return Answer(status, headers, b"")
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(await reader.readline(), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return Answer(status, headers, body)
    return Answer(status, headers, await reader.readexactly(int(headers["content-length"])))
