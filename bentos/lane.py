"""The fast lane: what is asked for most, answered before any framework looks at it.

A request that can be answered from memory is, and so is one for a page that takes a millisecond to
make; every other one, also each that is not quite in order, goes on to the routes, which say the
same (and say what is wrong). So there is one meaning of a request, and this is only a shorter way
to it. docs/decisions/fast-lane.md has what it saves.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bentos import lists, metrics, predicting, schemas
from bentos.access import TokenBuckets
from bentos.models import strip_h5
from moovier.errors import MoovierError
from moovier.serving.bundle_loader import LoadedModel
from moovier.serving.experiment_routing import Assignment
from moovier.serving.model_store import ModelStore

logger = logging.getLogger(__name__)

#: Pages of recommendations kept, those asked for last, and bytes of a request that is looked up.
_KEPT, _LONGEST = 2_000, 16_384
#: Pages that may wait to be made; beyond, the routes decide who comes back later.
_MOST_WAITING = 64
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True)
class _Kept:
    made: lists.RenderedPage
    stars: LoadedModel | None
    asked: schemas.RecommendRequest
    people: tuple[int, ...]
    revision: tuple[int, int]


class PageCache:
    """Pages by the words that asked for them. One event loop's."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def keep(
        self,
        words: bytes,
        asked: schemas.RecommendRequest,
        made: lists.RenderedPage,
        stars: LoadedModel | None,
        revision: tuple[int, int],
    ) -> None:
        """``revision``: of the user's feedback before ``made`` was."""
        if len(words) <= _LONGEST:
            self._kept[words] = _Kept(made, stars, asked, asked.people, revision)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def at_hand(
        self, words: bytes, app: FastAPI
    ) -> tuple[lists.RenderedPage, schemas.RecommendRequest, Assignment] | None:
        """The page that would be made now, what asked for it and whose turn it is; None where that
        takes making it."""
        kept = self._kept.get(words)
        if kept is None:
            return None
        model_store: ModelStore = app.state.model_store
        assignment = model_store.assignment(strip_h5(kept.asked.model_name), kept.people)
        same = (
            assignment is not None
            and kept.made.model is assignment.model
            and kept.stars is model_store.stars
        )
        if same and kept.people:
            same = kept.revision == app.state.feedback.revision(kept.people[0])
        if assignment is None or not same:
            del self._kept[words]
            return None
        self._kept.move_to_end(words)
        return kept.made, kept.asked, assignment


async def page_for(
    state: Any, assignment: Assignment, asked: schemas.RecommendRequest, words: bytes
) -> lists.RenderedPage:
    """A page of recommendations, kept for whoever asks in the same ``words``.

    Raises:
        BadRequest: the filter or the cursor makes no sense.
    """
    # Bound before the page is made: what changes meanwhile makes it a page of the past.
    stars = state.model_store.stars
    revision = (0, 0) if asked.user_id is None else state.feedback.revision(asked.user_id)
    page: lists.RenderedPage = await state.line.computed(
        lists.build_page, assignment.model, stars, asked, state.feedback
    )
    state.pages.keep(words, asked, page, stars, revision)
    return page


class FastPath:
    """In front of ``app``, all that BentoML builds around ``api``, our own application."""

    def __init__(self, app: ASGIApp, api: FastAPI, limit: TokenBuckets) -> None:
        self._inner = app
        self._app = api
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._inner(scope, receive, send)
            return
        path = scope["path"]
        if path not in ("/predict", "/recommend") or not hasattr(self._app.state, "model_store"):
            await self._inner(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = uuid.uuid4().hex
        message = await receive()
        words = message.get("body", b"")
        answer = None
        whole = message["type"] == "http.request" and not message.get("more_body", False)
        if whole and _is_json(scope) and self._limit.allow(scope):
            ask = self._predict if path == "/predict" else self._recommend
            try:
                answer = await ask(scope, words, request_id, started)
            except Exception:
                # The routes meet it again, and turn it into an answer.
                logger.exception("the fast lane failed")
        if answer is None:
            await self._inner(scope, _replaying(message, receive), send)
            return
        body, headers = answer
        headers.append((b"x-request-id", request_id.encode()))
        headers.append((b"content-length", b"%d" % len(body)))
        headers.append(_JSON)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        metrics.answered("POST", path, 200, time.perf_counter() - started)

    async def _predict(
        self, scope: Scope, words: bytes, request_id: str, started: float
    ) -> _Answer | None:
        query = _query(scope["query_string"]) if len(words) <= _LONGEST else None
        if query is None:
            return None
        top_k, name = query
        try:
            users = orjson.loads(words)
        except ValueError:
            return None
        if type(users) is not list or not 0 < len(users) <= schemas.MOST_USERS:
            return None
        if not all(type(user) is int and 0 < user <= schemas.MOST_ID for user in users):
            return None
        state = self._app.state
        assignment = state.model_store.assignment(name, users)
        if assignment is None or any(state.feedback.for_user(user) is not None for user in users):
            return None
        try:
            answers = assignment.model.recommender.at_hand(users, top_k)
        except MoovierError:
            return None
        if answers is None:
            return None
        body, headers = await predicting.answer(assignment.model, answers, state.details)
        if assignment.experiment is not None:
            metrics.answered_in_experiment(assignment.arm, time.perf_counter() - started)
        return body, _raw(headers)

    async def _recommend(
        self, scope: Scope, words: bytes, request_id: str, started: float
    ) -> _Answer | None:
        if scope["query_string"]:
            return None
        state = self._app.state
        found = state.pages.at_hand(words, self._app)
        if found is not None:
            page, asked, assignment = found
            metrics.count_answers(page.model.name, *((1, 0) if _personal(page) else (0, 1)))
        else:
            understood = _understood(words, state)
            if understood is None:
                return None
            asked, assignment = understood
            try:
                page = await page_for(state, assignment, asked, words)
            except MoovierError:
                return None
        body = await lists.render_page(page, state.details, request_id)
        state.served.note(request_id, assignment, asked, page.page, started)
        return body, _raw(lists.model_headers(page.model))


_Answer = tuple[bytes, list[tuple[bytes, bytes]]]


@lru_cache(maxsize=1024)
def _query(text: bytes) -> tuple[int, str | None] | None:
    """``top_k`` and the model's name; None where anything else is asked, or not quite so."""
    try:
        asked = dict(parse_qsl(text.decode("ascii"), keep_blank_values=True))
        number = asked.pop("top_k", "10")
        name = asked.pop("model_name", None)
        if asked or not (number.isascii() and number.isdecimal()):
            return None
        return int(number), strip_h5(name)
    except ValueError:
        return None


def _understood(words: bytes, state: Any) -> tuple[schemas.RecommendRequest, Assignment] | None:
    """What is asked for and whose turn it is; None where the routes must look at it, or it would
    have to wait."""
    if len(words) > _LONGEST or state.line.waiting >= _MOST_WAITING:
        return None
    try:
        asked = schemas.RecommendRequest.model_validate(orjson.loads(words))
    except ValueError:
        return None
    assignment: Assignment | None = state.model_store.assignment(
        strip_h5(asked.model_name), asked.people
    )
    return None if assignment is None else (asked, assignment)


def _personal(made: lists.RenderedPage) -> bool:
    return not made.page.items or made.page.items[0].source == "model"


def _raw(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]


def _is_json(scope: Scope) -> bool:
    """Whether the body says that it is JSON, which the routes ask for as well."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(kinds) == 1 and kinds[0].split(b";")[0].strip().lower() == b"application/json"


def _replaying(first: Message, receive: Receive) -> Receive:
    """``receive`` with ``first`` before all else."""
    waiting = [first]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
