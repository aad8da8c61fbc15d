"""Ids of users and movies as commands and files have them: whole numbers, or texts."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from moovier.data.csv_values import shown, whole_number
from moovier.data.id_texts import IdTexts
from moovier.errors import BadRequest
from moovier.feedback import database
from moovier.feedback.database import Database
from moovier.feedback.errors import FeedbackUnavailable
from moovier.feedback.id_texts import IdTextStore
from moovier.ids import MAX_ID, Kind, number_of, text_problem
from moovier.settings import Settings


@dataclass(frozen=True)
class OutsideIds:
    """The ids outside of a model.

    ``texts``: of the model; None where all its ids are whole numbers. ``stored``: texts of the
    feedback database, by kind and number.
    """

    texts: IdTexts | None = None
    stored: Mapping[Kind, Mapping[int, str]] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: IdTexts | None, settings: Settings) -> OutsideIds:
        """Return the ids of a model and the feedback; without the latter if it cannot be read."""
        if texts is None or not database.exists(settings.database):
            return cls(texts)
        try:
            with contextlib.closing(Database.open(settings.database)) as opened:
                return cls(texts, IdTextStore(opened).all())
        except FeedbackUnavailable:
            return cls(texts)

    def is_text(self, kind: Kind) -> bool:
        """Return whether ids of this kind are texts."""
        return self.texts is not None and self.texts.is_text(kind)

    def number(self, kind: Kind, text: str) -> int:
        """Return the number of an id.

        Raises:
            BadRequest: it is not one.
        """
        if self.is_text(kind):
            if problem := text_problem(text):
                raise BadRequest(f"the {kind} id {shown(text)} {problem}")
            return number_of(text)
        try:
            number = whole_number(text, f"{kind} id")
        except ValueError as error:
            raise BadRequest(str(error)) from error
        if not 1 <= number <= MAX_ID:
            raise BadRequest(f"the {kind} id {number} is not from 1 to {MAX_ID}")
        return number

    def shown(self, kind: Kind, number: int) -> int | str:
        """Return the text of a number, or the number where it has none."""
        if self.texts is None or not self.texts.is_text(kind):
            return number
        text = self.texts.text(kind, number) or self.stored.get(kind, {}).get(number)
        return number if text is None else text
