"""Compresses large answers with gzip, by Starlette's responder."""

from __future__ import annotations

from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.middleware.accept_encoding import accepts

#: Smallest body in bytes that is compressed. Smaller ones fit a few packets anyway.
MIN_BYTES = 2_000
#: Of 1 to 9: higher levels take several times as long, for a few percent.
_LEVEL = 4


class Compression:
    """Compresses a body of at least ``MIN_BYTES`` for clients that accept gzip.

    A smaller body goes out as it is, so that the quick answers stay quick. Compressed files of the
    web page already have their encoding.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on and compress its answer if it is large."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        responder: IdentityResponder | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal start, responder
            if responder is not None:
                await responder.send_with_compression(message)
            elif message["type"] == "http.response.start":
                start = message
            elif start is None:
                await send(message)
            elif _is_small(message):
                first, start = start, None
                await send(first)
                await send(message)
            else:
                if _has_vary(start):
                    # Such an answer chose its encoding itself.
                    first, start = start, None
                    await send(first)
                    await send(message)
                    return
                responder = _responder(self.app, scope)
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


def _responder(app: ASGIApp, scope: Scope) -> IdentityResponder:
    """Return Starlette's responder, which also sets the header Vary."""
    if accepts(scope, "gzip"):
        return GZipResponder(app, MIN_BYTES, _LEVEL)
    return IdentityResponder(app, MIN_BYTES)
