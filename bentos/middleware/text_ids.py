"""Accepts and answers text ids, where the champion was trained on a data set that has them."""

from __future__ import annotations

import contextlib
from urllib.parse import unquote

from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos.app_state import AppState
from moovier.data.id_texts import IdTexts
from moovier.errors import MoovierError
from moovier.ids import MOVIE, USER, Kind
from moovier.serving.context import ServingContext
from moovier.serving.text_ids import SLASH, RequestIds, current_ids

#: Beginnings of the paths whose requests or answers have ids.
WITH_IDS = (
    *("/predict", "/recommend", "/popular", "/trending", "/movies"),
    *("/ratings", "/events", "/train", "/bentoml/"),
)
_LISTS: dict[str, Kind] = {
    "X-Moovier-Unknown-Users": USER,
    "X-Moovier-Skipped-Movies": MOVIE,
}


class TextIds:
    """Sets :data:`current_ids` for the routes, and rewrites their answers."""

    def __init__(self, app: ASGIApp, state: AppState) -> None:
        self.app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with text ids, or hand it on with a data set of whole numbers."""
        context = self._state.context
        if context is None or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        texts = await _texts(context, scope["path"])
        if texts is None:
            await self.app(scope, receive, send)
            return
        ids = RequestIds(texts, context.feedback.movie_texts)
        token = current_ids.set(ids)
        try:
            await self.app(_with_slashes(scope), receive, _Rewriting(send, scope, ids, context))
        finally:
            current_ids.reset(token)


async def _texts(context: ServingContext, path: str) -> IdTexts | None:
    """Return the texts of the champion, which the first request with ids loads."""
    if context.model_store.loaded(None) is None and path.startswith(WITH_IDS):
        # The route says what is wrong if there is no model.
        with contextlib.suppress(MoovierError):
            await run_sync(context.model_store.default)
    return context.id_texts


def _with_slashes(scope: Scope) -> Scope:
    """Return a request whose path keeps the slashes within an id apart from its own."""
    raw: bytes = scope.get("raw_path") or b""
    if b"%2f" not in raw.lower():
        return scope
    segments = raw.decode("latin-1").split("/")
    path = "/".join(unquote(segment).replace("/", SLASH) for segment in segments)
    return {**scope, "path": path}


class _Rewriting:
    """Sends an answer; a JSON answer is sent when it is complete, with texts for numbers."""

    def __init__(self, send: Send, scope: Scope, ids: RequestIds, context: ServingContext) -> None:
        self._send, self._path, self._ids, self._context = send, scope["path"], ids, context
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        """Send or collect a part of the answer."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if headers.get("content-type", "").startswith("application/json"):
                self._start = message
                return
        if self._start is None or message["type"] != "http.response.body":
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        start, self._start = self._start, None
        body = self._rewritten(start)
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})

    def _rewritten(self, start: Message) -> bytes:
        """Return the body with texts, and adapt the headers of ``start``."""
        headers, body = MutableHeaders(scope=start), bytes(self._body)
        # The answer of another version than the champion may have ids that the champion lacks.
        model = self._context.model_store.loaded(headers.get("X-Moovier-Model-Version") or None)
        answering = None if model is None else model.recommender.bundle.ids
        if answering is not None:
            self._ids.texts = answering
        for name, kind in _LISTS.items():
            if name in headers and self._ids.is_text(kind):
                headers[name] = self._ids.rewritten_list(kind, headers[name])
        if start["status"] >= 400:
            body = self._ids.rewritten_error(body)
        else:
            body = self._ids.rewritten(body, self._path)
        headers["content-length"] = str(len(body))
        return body
