"""Decompresses request bodies, up to the same limit as other bodies."""

from __future__ import annotations

import zlib

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.error_response import error_response
from bentos.middleware.body_size import limit_of, too_large

_GZIP = (b"gzip", b"x-gzip")
#: Headers that describe the compressed body.
_REPLACED = (b"content-encoding", b"content-length")
#: zlib's window for the gzip format.
_WINDOW_BITS = 16 + zlib.MAX_WBITS


class Decompression:
    """Decompresses a body with ``Content-Encoding: gzip``; it needs the whole body at once.

    Answers 413 beyond the limit of the path without decompressing the rest, 415 to other encodings,
    and 422 to a body that is not gzip.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on with its body decompressed, or refuse it."""
        encoding = _encoding(scope) if scope["type"] == "http" else b""
        if not encoding:
            await self.app(scope, receive, send)
            return
        if encoding not in _GZIP:
            await _unsupported(encoding)(scope, receive, send)
            return
        message, limit = await receive(), limit_of(scope)
        try:
            body = _decompressed(message.get("body", b""), limit)
        except zlib.error:
            response = error_response(422, "the body is not valid gzip, as Content-Encoding says")
            await response(scope, receive, send)
            return
        if len(body) > limit:
            await too_large(limit)(scope, receive, send)
            return
        scope["headers"] = [
            *((name, value) for name, value in scope["headers"] if name not in _REPLACED),
            (b"content-length", b"%d" % len(body)),
        ]
        await self.app(scope, _replay({**message, "body": body}, receive), send)


def _encoding(scope: Scope) -> bytes:
    """Return the encodings of the body, separated by commas; empty for a plain body."""
    values = [value for name, value in scope["headers"] if name == b"content-encoding"]
    words = [word.strip().lower() for word in b",".join(values).split(b",")]
    return b",".join(word for word in words if word not in (b"", b"identity"))


def _decompressed(content: bytes, limit: int) -> bytes:
    """Return the content of a gzip body, at most a byte more than the limit.

    Raises:
        zlib.error: the body is damaged or incomplete, or something follows it.
    """
    if not content:
        return content
    member = zlib.decompressobj(_WINDOW_BITS)
    body = member.decompress(content, limit + 1)
    # A second member is refused: thousands of empty ones would take minutes.
    if len(body) <= limit and (not member.eof or member.unused_data):
        raise zlib.error
    return body


def _replay(first: Message, receive: Receive) -> Receive:
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _unsupported(encoding: bytes) -> JSONResponse:
    name = encoding[:50].decode("latin-1")
    return error_response(
        415,
        f"Content-Encoding {name!r} is not supported; send the body plain or with gzip",
        {"Accept-Encoding": "gzip"},
    )
