"""The texts of a data set's ids, in compact arrays.

Python strings in a dictionary would take about 100 bytes for each id; these arrays take 16 and the
text, and large ones are mapped into memory. This module imports only NumPy, for the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from moovier.data.array_files import read_arrays, write_arrays
from moovier.data.ratings import Ints
from moovier.errors import InvalidData
from moovier.ids import Kind

#: Name of the file with the texts.
FILE = "ids.npz"


@dataclass(frozen=True)
class TextTable:
    """Texts by number.

    ``numbers``: (n,) ascending. ``offsets``: (n + 1,) where each text starts in ``content``.
    ``content``: all texts one after the other, UTF-8.
    """

    numbers: Ints
    offsets: Ints
    content: NDArray[np.uint8]

    @classmethod
    def of(cls, texts: Mapping[int, str]) -> TextTable:
        """Return the table of numbers and their texts."""
        numbers = np.array(sorted(texts), dtype=np.int64)
        encoded = [texts[number].encode() for number in numbers.tolist()]
        lengths = np.array([len(text) for text in encoded], dtype=np.int64)
        return cls(
            numbers,
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.frombuffer(b"".join(encoded), dtype=np.uint8),
        )

    def get(self, number: int) -> str | None:
        """Return the text of a number, None for an unknown one."""
        place = int(np.searchsorted(self.numbers, number))
        if place >= self.numbers.size or self.numbers[place] != number:
            return None
        start, end = int(self.offsets[place]), int(self.offsets[place + 1])
        return self.content[start:end].tobytes().decode()


@dataclass(frozen=True)
class IdTexts:
    """The texts of each kind of id that is text; a kind that is missing has whole numbers."""

    tables: Mapping[Kind, TextTable]

    def is_text(self, kind: Kind) -> bool:
        """Return whether the ids of a kind are texts."""
        return kind in self.tables

    def text(self, kind: Kind, number: int) -> str | None:
        """Return the text of a number, None where it is unknown or the kind has whole numbers."""
        table = self.tables.get(kind)
        return None if table is None else table.get(number)


def distinct(texts: Iterable[tuple[int, str]], kind: Kind) -> dict[int, str]:
    """Return texts by number.

    Raises:
        InvalidData: two texts have the same number.
    """
    by_number: dict[int, str] = {}
    for number, text in texts:
        if by_number.setdefault(number, text) != text:
            raise InvalidData(
                f"the {kind} ids {by_number[number]!r} and {text!r} have the same number inside, a "
                "very rare coincidence: rename one of them"
            )
    return by_number


def write(file: Path, ids: IdTexts) -> None:
    """Write the texts into an ``.npz`` file."""
    arrays: dict[str, NDArray[Any]] = {}
    for kind, table in ids.tables.items():
        arrays[f"{kind}_numbers"] = table.numbers
        arrays[f"{kind}_offsets"] = table.offsets
        arrays[f"{kind}_content"] = table.content
    write_arrays(file, arrays)


def read(file: Path) -> IdTexts:
    """Return what :func:`write` wrote, with large arrays mapped into memory.

    Raises:
        KeyError, OSError, ValueError: the file is missing or not such a file.
    """
    arrays = read_arrays(file, mapped=True)
    kinds: tuple[Kind, ...] = get_args(Kind)
    return IdTexts(
        {
            kind: TextTable(
                arrays[f"{kind}_numbers"], arrays[f"{kind}_offsets"], arrays[f"{kind}_content"]
            )
            for kind in kinds
            if f"{kind}_numbers" in arrays
        }
    )
