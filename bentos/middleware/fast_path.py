"""Answers the most frequent requests before any framework parses them.

It answers from memory, or with a page that takes a millisecond to compute. Every other request,
also an invalid one, goes on to the routes, which give the same answers and say what is wrong.
docs/decisions/fast-path.md has the measurements.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from urllib.parse import parse_qsl

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos import logs
from bentos.app_state import AppState
from bentos.middleware.route_name import RouteName
from bentos.model_headers import model_headers, predict_headers
from bentos.schemas.fields import strip_h5
from bentos.schemas.plain_recommend import parse_plain
from bentos.schemas.predict import MAX_USERS
from bentos.schemas.recommend import RecommendRequest
from moovier.errors import MoovierError
from moovier.ids import MAX_ID
from moovier.serving import requests
from moovier.serving.context import ServingContext
from moovier.serving.predict import predict_from_cache
from moovier.serving.recommend import recommend_fast

logger = logging.getLogger(__name__)

#: Longest body of `/predict` in bytes.
_MAX_BODY_BYTES = 16_384
_JSON = (b"content-type", b"application/json")
_Answer = tuple[bytes, dict[str, str]]


class FastPath:
    """Answers requests to `/predict` and `/recommend` that need no routes."""

    def __init__(self, app: ASGIApp, state: AppState) -> None:
        self.app = app
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or hand it on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        handler, context = _HANDLERS.get(scope["path"]), self._state.context
        # Text ids are translated for the routes only.
        if handler is None or context is None or context.id_texts is not None:
            await self.app(scope, receive, send)
            return
        message = await receive()
        answer = None
        is_complete = message["type"] == "http.request" and not message.get("more_body", False)
        if is_complete and _is_plain_json(scope):
            try:
                answer = await handler(context, scope["query_string"], message.get("body", b""))
            except MoovierError:
                pass  # the routes raise it again and answer it
            except Exception:
                logger.exception("the fast path failed; the routes answer")
        if answer is None:
            await self.app(scope, _replay(message, receive), send)
            return
        body, headers = answer
        scope["route"] = _ROUTES[scope["path"]]
        raw_headers = [
            (name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()
        ]
        raw_headers += [(b"content-length", b"%d" % len(body)), _JSON]
        await send({"type": "http.response.start", "status": 200, "headers": raw_headers})
        await send({"type": "http.response.body", "body": body})


async def _predict(context: ServingContext, query_string: bytes, body: bytes) -> _Answer | None:
    query = _parse_query(query_string) if len(body) <= _MAX_BODY_BYTES else None
    if query is None:
        return None
    top_k, model_name = query
    try:
        users = orjson.loads(body)
    except ValueError:
        return None
    if type(users) is not list or not 0 < len(users) <= MAX_USERS:
        return None
    if not all(type(user) is int and 0 < user <= MAX_ID for user in users):
        return None
    request = requests.PredictRequest(tuple(users), top_k, model_name)
    answer = await predict_from_cache(context, request)
    return None if answer is None else (answer.body, predict_headers(answer))


async def _recommend(context: ServingContext, query_string: bytes, body: bytes) -> _Answer | None:
    if query_string:
        return None
    answer = await recommend_fast(context, body, _parse_body, request_id=logs.request_id.get())
    return None if answer is None else (answer.body, model_headers(answer.model))


_HANDLERS = {"/predict": _predict, "/recommend": _recommend}
_ROUTES = {path: RouteName(path) for path in _HANDLERS}


@lru_cache(maxsize=1024)
def _parse_query(text: bytes) -> tuple[int, str | None] | None:
    """Return ``top_k`` and the model's name; None for any other or invalid parameter."""
    try:
        pairs = parse_qsl(text.decode("ascii"), keep_blank_values=True)
        parameters = dict(pairs)
        if len(parameters) < len(pairs):
            return None
        top_k = parameters.pop("top_k", "10")
        model_name = parameters.pop("model_name", None)
        if parameters or not (top_k.isascii() and top_k.isdecimal()):
            return None
        return int(top_k), strip_h5(model_name)
    except ValueError:
        return None


def _parse_body(body: bytes) -> requests.RecommendRequest | None:
    """Return the request in a body of `/recommend`; None if it is invalid or about a group."""
    try:
        content = orjson.loads(body)
        plain = parse_plain(content)
        if plain is not None:
            return plain
        request = RecommendRequest.model_validate(content)
        return None if request.people is not None else request.to_request()
    except ValueError:
        return None


def _is_plain_json(scope: Scope) -> bool:
    """Return whether the one content type is JSON, as the routes require, and not compressed."""
    types = []
    for name, value in scope["headers"]:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            types.append(value)
    return len(types) == 1 and types[0].split(b";")[0].strip().lower() == b"application/json"


def _replay(first: Message, receive: Receive) -> Receive:
    """Return ``receive`` with ``first`` as its first message."""
    messages = [first]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay
