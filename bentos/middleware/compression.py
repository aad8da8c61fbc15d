"""Compresses large answers with gzip, by Starlette's responder."""

from __future__ import annotations

from starlette.middleware.gzip import GZipResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.middleware.accept_encoding import accepts

#: Smallest body in bytes that is compressed. Smaller ones fit a few packets anyway.
MIN_BYTES = 2_000
#: Of 1 to 9: higher levels take several times as long, for a few percent.
_LEVEL = 4
_VARY = (b"vary", b"Accept-Encoding")


class Compression:
    """Compresses a body of at least ``MIN_BYTES`` for clients that accept gzip.

    A smaller body goes out as it is, so that the quick answers stay quick. Compressed files of the
    web page already have their encoding, and say so in the header Vary.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and compress its answer if it is large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        responder: GZipResponder | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start, responder
            if responder is not None:
                await responder.send_with_compression(message)
            elif message["type"] == "http.response.start":
                start = message
            elif start is None:
                await send(message)
            elif _is_small(message) or _has_vary(start) or not accepts(scope, "gzip"):
                first, start = start, None
                if not _is_small(message) and not _has_vary(first):
                    # For caches: another client may get a compressed answer.
                    first = {**first, "headers": [*first["headers"], _VARY]}
                await send(first)
                await send(message)
            else:
                responder = GZipResponder(self.app, MIN_BYTES, _LEVEL)
                responder.send = send
                await responder.send_with_compression(start)
                await responder.send_with_compression(message)

        await self.app(scope, receive, send_compressed)


def _has_vary(start: Message) -> bool:
    return any(name.lower() == b"vary" for name, _ in start["headers"])


def _is_small(message: Message) -> bool:
    return (
        message["type"] == "http.response.body"
        and not message.get("more_body", False)
        and len(message.get("body", b"")) < MIN_BYTES
    )
