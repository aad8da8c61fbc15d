"""Recognise columns of text ids in CSV files, and read them as numbers.

The first data rows do not decide alone, because a file may begin with the ratings of one user: up
to ``_SAMPLE`` rows are taken from places all over the file. Where at least half of them are no
numbers, the column is text, and every value of it is an id, also a number. Otherwise a value that
is no whole number is a bad row: one damaged row must not change all ids of a data set.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moovier.data.csv_values import shown, split_line
from moovier.data.id_texts import distinct
from moovier.ids import MOVIE, USER, Kind, number_of, text_problem

#: Rows that decide, and places in the file from which they are taken.
_SAMPLE, _PLACES = 1_000, 20
_LONGEST_LINE = 1 << 16
_NUMBER = re.compile(r"\s*[+-]?[0-9.,_ ]+(?:[eE][+-]?[0-9]+)?\s*")


@dataclass
class TextColumn:
    """The ids of one kind, with their numbers in the order of first appearance."""

    kind: Kind
    numbers: dict[str, int] = field(default_factory=dict)

    def number(self, text: str, column: str) -> int:
        """Return the number of a text.

        Raises:
            ValueError: the text is no id; the message is the reason that users read.
        """
        number = self.numbers.get(text)
        if number is None:
            if problem := text_problem(text):
                raise ValueError(f"{column} {shown(text)} {problem}")
            number = self.numbers[text] = number_of(text)
        return number

    def by_number(self) -> dict[int, str]:
        """Return the texts that were read by their numbers.

        Raises:
            InvalidData: two texts have the same number.
        """
        return distinct(((number, text) for text, number in self.numbers.items()), self.kind)


@dataclass(frozen=True)
class TextColumns:
    """The kinds of ids that are text in a folder; None for whole numbers."""

    users: TextColumn | None = None
    movies: TextColumn | None = None

    @classmethod
    def of(cls, ratings: Path, movies: Path) -> TextColumns:
        """Return the text columns of a file of ratings or events and a file of movies."""
        return cls(
            TextColumn(USER) if is_text(ratings, "userId") else None,
            TextColumn(MOVIE) if is_text(movies, "movieId") else None,
        )

    def __bool__(self) -> bool:
        return self.users is not None or self.movies is not None

    @property
    def by_name(self) -> dict[str, TextColumn]:
        """Return the text columns by their names in the files."""
        columns = {"userId": self.users, "movieId": self.movies}
        return {name: column for name, column in columns.items() if column is not None}

    def within(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        """Return the types of columns with those of text ids in place."""
        return {name: self.by_name.get(name, kind) for name, kind in columns.items()}


def is_text(file: Path, column: str) -> bool:
    """Return whether a column has text ids; False for a file that cannot be read."""
    try:
        values = _sample(file, column)
    except (OSError, ValueError):
        return False
    texts = sum(not _is_number(value) for value in values)
    return bool(values) and 2 * texts >= len(values)


def _is_number(text: str) -> bool:
    """Return whether a value is meant as a number, also where it is a wrong one, such as 1.5."""
    return _NUMBER.fullmatch(text) is not None


def _sample(file: Path, column: str) -> list[str]:
    """Return values of a column that are not empty, from rows all over the file."""
    size = file.stat().st_size
    values: list[str] = []
    with file.open("rb") as lines:
        header = split_line(lines.readline(_LONGEST_LINE).decode("utf-8-sig"))
        place, start = header.index(column), lines.tell()
        # A row has at least some 10 bytes: so small a file is read whole.
        places = 1 if size - start < _SAMPLE * 10 else _PLACES
        for part in range(places):
            lines.seek(start + (size - start) * part // places)
            if part:
                lines.readline(_LONGEST_LINE)
            for _ in range(_SAMPLE // places):
                line = lines.readline(_LONGEST_LINE).decode(errors="replace")
                if not line:
                    break
                try:
                    fields = split_line(line, len(header))
                except ValueError:
                    continue
                if fields and fields[place].strip():
                    values.append(fields[place])
    return values
