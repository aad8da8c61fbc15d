"""Translates the ids of a request and of its answer where a model's ids are texts.

Everything behind the HTTP boundary has numbers. A request's texts become numbers where its fields
are parsed (:data:`current_ids`), and the numbers of an answer become texts when it is sent. With a
data set of whole numbers neither happens.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from urllib.parse import quote

import orjson
from anyio.to_thread import run_sync

from moovier.data.id_texts import IdTexts
from moovier.ids import MOVIE, USER, Kind, number_of, text_problem
from moovier.serving.context import ServingContext

#: Stands for a slash of an id within a path; no id has this control character.
SLASH = "\x1f"
_NUMBER = re.compile(r"\d{1,18}")
#: Fields with an id. The quote before the name cannot be within a JSON string, which escapes it.
_FIELD = re.compile(rb'"(movie_id|user_id|deleted)":(\d{1,18})(?=[,}])')
_SEEN = re.compile(rb'"seen":\[([\d,]+)\]')
#: The keys of `/predict`, all of which came with the request.
_KEY = re.compile(rb'"(\d{1,18})":\[')


class RequestIds:
    """The ids of one request.

    ``texts``: of the model that answers; it can be replaced when this is known. ``added``: the
    texts of movies beside the data set.
    """

    def __init__(self, texts: IdTexts, added: Mapping[int, str]) -> None:
        self.texts = texts
        self._default, self._added = texts, added
        self._seen: dict[Kind, dict[int, str]] = {USER: {}, MOVIE: {}}

    def is_text(self, kind: Kind) -> bool:
        """Return whether ids of this kind are texts."""
        return self._default.is_text(kind)

    def number(self, kind: Kind, text: str) -> int:
        """Return the number of a text that the request has.

        Raises:
            ValueError: the text is no id; the message is the reason.
        """
        text = text.replace(SLASH, "/")
        if problem := text_problem(text):
            raise ValueError(f"the id {problem}")
        number = number_of(text)
        if (self.text(kind, number) or text) != text:
            raise ValueError("the id has the same number inside as another one: choose another id")
        self._seen[kind][number] = text
        return number

    def text(self, kind: Kind, number: int) -> str | None:
        """Return the text of a number; None where it is unknown, or a whole number itself."""
        return (
            self._seen[kind].get(number)
            or self.texts.text(kind, number)
            or self._default.text(kind, number)
            or (self._added.get(number) if kind == MOVIE and self.is_text(MOVIE) else None)
        )

    def rewritten(self, body: bytes, path: str) -> bytes:
        """Return an answer's JSON with texts in the place of numbers."""
        if path.endswith("/predict") and self.is_text(USER):
            body = _KEY.sub(lambda match: self._json(USER, match[1]) + b":[", body)
        if self.is_text(MOVIE):
            body = _SEEN.sub(lambda match: b'"seen":[%b]' % self._list(match[1]), body)
        return _FIELD.sub(self._field, body)

    def rewritten_error(self, body: bytes) -> bytes:
        """Return an error's JSON with the request's own texts in the place of their numbers."""
        try:
            content = orjson.loads(body)
        except ValueError:
            return body
        if not isinstance(content, dict) or not isinstance(content.get("detail"), str):
            return body
        seen = {**self._seen[USER], **self._seen[MOVIE]}
        content["detail"] = _NUMBER.sub(
            lambda match: seen.get(int(match[0]), match[0]), content["detail"]
        )
        return orjson.dumps(content)

    def rewritten_list(self, kind: Kind, value: str) -> str:
        """Return a header's list of numbers as texts, percent-encoded: a text may have a comma."""
        texts = (self.text(kind, int(word)) or word for word in value.split(","))
        return ",".join(quote(text, safe="") for text in texts)

    def seen(self, kind: Kind, numbers: Collection[int]) -> dict[int, str]:
        """Return the texts of numbers that came with the request."""
        seen = self._seen[kind]
        return {number: seen[number] for number in numbers if number in seen}

    def _field(self, match: re.Match[bytes]) -> bytes:
        kind = USER if match[1] == b"user_id" else MOVIE
        return b'"%b":%b' % (match[1], self._json(kind, match[2]))

    def _list(self, numbers: bytes) -> bytes:
        return b",".join(self._json(MOVIE, number) for number in numbers.split(b","))

    def _json(self, kind: Kind, digits: bytes) -> bytes:
        """Return the text of a number as a JSON string, or the number where it has none."""
        text = self.text(kind, int(digits)) if self.is_text(kind) else None
        return digits if text is None else orjson.dumps(text)


#: The ids of the request that is being answered; None with a data set of whole numbers.
current_ids: ContextVar[RequestIds | None] = ContextVar("current_ids", default=None)


async def keep_texts(context: ServingContext, kind: Kind, numbers: Collection[int]) -> None:
    """Store the texts of a request's ids, before anything is stored under their numbers.

    Raises:
        IdConflict: another text with one of the numbers is stored.
        FeedbackUnavailable: the database does not answer.
    """
    ids = current_ids.get()
    texts = {} if ids is None else ids.seen(kind, numbers)
    if texts:
        await run_sync(context.feedback.keep_texts, kind, texts)
