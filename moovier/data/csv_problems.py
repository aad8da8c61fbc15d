"""Problems of rows, and the error that lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from moovier.errors import InvalidData

#: The most problems that an error lists; it counts the others.
SHOWN_PROBLEMS = 20


@dataclass
class Problems:
    """The problems of one file by row.

    ``keep_all`` False bounds the memory: a file of millions of ratings may be bad in every row.
    """

    keep_all: bool
    reasons: list[tuple[int, str]] = field(default_factory=list)
    total: int = 0

    def add(self, row: int, reason: str) -> None:
        """Add the problem of one row."""
        self.extend([(int(row), reason)], 1)

    def extend(self, reasons: Sequence[tuple[int, str]], total: int) -> None:
        """Add ``total`` problems, of which ``reasons`` has all, or those to show."""
        self.total += total
        room = None if self.keep_all else SHOWN_PROBLEMS - len(self.reasons)
        self.reasons += reasons[:room]

    def texts(self, name: str) -> list[str]:
        """Return the problems in the order of the rows."""
        return [f"{name}, row {row}: {reason}" for row, reason in sorted(self.reasons)]


def too_many(texts: list[str], total: int) -> InvalidData:
    """Return the error of ``total`` bad rows, of which ``texts`` has those to show."""
    texts = texts[:SHOWN_PROBLEMS]
    hidden = total - len(texts)
    return unusable(*texts, *([f"... and {hidden:,} more bad rows"] if hidden else []))


def unusable(*problems: str) -> InvalidData:
    """Return the error of a data set with these problems."""
    return InvalidData("the data set is invalid: " + "\n  ".join(problems), problems)


def replaced_reason(row: int) -> str:
    """Return why a rating is bad that the same user's rating in ``row`` replaces."""
    return (
        f"this user rates the same movie again in row {row}, which counts: it is newer, or later "
        "in the file at the same second; keep only that row"
    )
