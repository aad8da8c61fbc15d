"""CSV files into checked tables, with every bad row named by file, row and reason.

The quick way is pandas' parser. It takes some broken lines without a word, or stops at one without
saying which, so that whatever is not plainly good is read again line by line.
"""

from __future__ import annotations

import codecs
import csv
import warnings
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moovier.data import schema
from moovier.errors import InvalidData

#: How many problems an error names; it says how many there are in all.
SHOWN_PROBLEMS = 20
_LARGEST_INT = 2**63 - 1


@dataclass
class Tables:
    """The files of one folder; ``set_aside`` remembers the rows that were left out.

    ``bad_rows_share``: the share of each file's rows (0 to 1) that may be left out.
    """

    folder: Path
    bad_rows_share: float
    set_aside: list[str] = field(default_factory=list)

    def read_valid_rows(self, name: str, columns: Mapping[str, Any], rules: Any) -> pd.DataFrame:
        """The rows of one file that keep the ``rules``, in file order, only the given columns.

        Raises:
            InvalidData: the file cannot be used, or more rows are bad than may be.
        """
        path = self.folder / name
        problems = _Problems(keep_all=self.bad_rows_share > 0)
        table = _read(path, columns, problems)
        n_rows = len(table) + problems.total
        bad = schema.bad_rows(table.reset_index(drop=True), rules)
        positions = list(bad)
        for place, reason in zip(table.index.to_numpy()[positions], bad.values(), strict=True):
            problems.add(f"{name}, row {place + 2}: {reason}")
        if problems.total > self.bad_rows_share * n_rows:
            raise problems.error()
        self.set_aside += problems.texts
        kept = table.drop(index=table.index[positions]) if positions else table
        if len(kept) == 0:
            raise _unusable(f"{name}: has no valid row")
        return kept.reset_index(drop=True)


@dataclass
class _Problems:
    """What is wrong with one file. Texts past the shown ones are kept only where they may be
    needed: a file of millions of ratings can be bad in every row."""

    keep_all: bool
    texts: list[str] = field(default_factory=list)
    total: int = 0

    def add(self, text: str) -> None:
        self.total += 1
        if self.keep_all or len(self.texts) < SHOWN_PROBLEMS:
            self.texts.append(text)

    def error(self) -> InvalidData:
        shown = self.texts[:SHOWN_PROBLEMS]
        hidden = self.total - len(shown)
        return _unusable(*shown, *([f"... and {hidden:,} more bad rows"] if hidden else []))


def _unusable(*problems: str) -> InvalidData:
    return InvalidData("the data set is not usable: " + "\n  ".join(problems), problems)


def _read(path: Path, columns: Mapping[str, Any], problems: _Problems) -> pd.DataFrame:
    """The rows that parse, indexed by their position below the header."""
    if not path.is_file():
        raise _unusable(f"{path.name}: is missing from {path.parent}")
    _check_text(path)
    _check_header(path, columns)
    # Pandas fills a text that a short line lacks with an empty one, and does not tell.
    if str not in columns.values():
        try:
            return _read_at_once(path, columns)
        except (ValueError, OverflowError, pd.errors.ParserWarning):
            pass
    return _read_line_by_line(path, columns, problems)


def _check_text(path: Path) -> None:
    """UTF-8 throughout and ending with a line end: neither garbled nor cut off."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    row, last = 1, b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                row += bytes(error.object[: error.start]).count(b"\n")
                raise _unusable(
                    f"{path.name}, row {row}: is not UTF-8 text ({error.reason})"
                ) from error
            row += block.count(b"\n")
            last = block
    if not last:
        raise _unusable(f"{path.name}: is empty")
    if not last.endswith(b"\n"):
        raise _unusable(
            f"{path.name}, row {row}: the file ends in the middle of a line, as a download that "
            "was cut off does (if it is complete, add a line end)"
        )


def _check_header(path: Path, columns: Iterable[str]) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    missing = [column for column in columns if column not in header]
    if missing:
        raise _unusable(
            f"{path.name}, row 1: column {', '.join(missing)} is missing; "
            f"there are: {', '.join(header)}"
        )


def _read_at_once(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """The whole file, or an error where any line is not plainly good."""
    with warnings.catch_warnings():
        # Otherwise the fields that a line has too many are dropped with a warning.
        warnings.simplefilter("error", pd.errors.ParserWarning)
        table = pd.read_csv(
            path,
            dtype=dict(columns),
            encoding="utf-8-sig",
            index_col=False,
            keep_default_na=False,
            na_values={
                column: [""] for column, kind in columns.items() if kind is schema.OPTIONAL_INT
            },
            skip_blank_lines=False,
        )
    return table[list(columns)]


def _read_line_by_line(path: Path, columns: Mapping[str, Any], problems: _Problems) -> pd.DataFrame:
    """The lines that parse; the others become problems. Empty lines are neither."""
    values = {column: _growing(kind) for column, kind in columns.items()}
    places = array("q")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header = next(lines)
        wanted = [(header.index(column), column, kind) for column, kind in columns.items()]
        for place, line in enumerate(lines):
            if not line:
                continue
            try:
                if len(line) != len(header):
                    raise ValueError(f"has {len(line)} fields, the header has {len(header)}")
                fields = [_value(line[at], column, kind) for at, column, kind in wanted]
            except ValueError as error:
                problems.add(f"{path.name}, row {place + 2}: {error}")
                continue
            for column, value in zip(columns, fields, strict=True):
                values[column].append(value)
            places.append(place)
    table = {column: pd.Series(values[column], dtype=kind) for column, kind in columns.items()}
    return pd.DataFrame(table).set_axis(np.array(places, dtype=np.int64))


def _growing(kind: Any) -> Any:
    """An empty sequence to append to, as small in memory as the kind allows."""
    if kind is np.int64:
        return array("q")
    return array("f") if kind is np.float32 else []


def _value(text: str, column: str, kind: Any) -> Any:
    """One field, parsed.

    Raises:
        ValueError: with the reason that a person reads.
    """
    if kind is str:
        return text
    if kind is schema.OPTIONAL_INT and text == "":
        return None
    try:
        # Python takes 1_000 for a number; no CSV file means it so.
        value = float(text) if kind is np.float32 else int(text.replace("_", "?"))
    except ValueError:
        wanted = "a number" if kind is np.float32 else "a whole number"
        raise ValueError(f"{column} {text!r} is not {wanted}") from None
    if kind is not np.float32 and abs(value) > _LARGEST_INT:
        raise ValueError(f"{column} {text!r} is too large")
    return value
