"""Read CSV files into valid tables; errors name each bad row by file, row and reason.

Pandas' parser is fast, but it accepts some broken lines silently and stops at others without
naming them. A file that it does not read without any doubt is therefore read again line by line.
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

#: The most problems that an error lists; it counts the others.
SHOWN_PROBLEMS = 20
_LARGEST_INT = 2**63 - 1


@dataclass
class Tables:
    """The CSV files of one folder.

    ``bad_rows_share``: the share of each file's rows (0 to 1) that may be set aside.
    ``set_aside``: the rows that were left out, each "file, row N: reason".
    """

    folder: Path
    bad_rows_share: float
    set_aside: list[str] = field(default_factory=list)

    def read_valid_rows(self, name: str, columns: Mapping[str, Any], rules: Any) -> pd.DataFrame:
        """Return the given columns of the rows that satisfy ``rules``, in file order.

        Raises:
            InvalidData: the file cannot be used, or too many rows are bad.
        """
        path = self.folder / name
        problems = _Problems(keep_all=self.bad_rows_share > 0)
        table = _read(path, columns, problems)
        n_rows = len(table) + problems.total
        bad = schema.bad_rows(table.reset_index(drop=True), rules)
        positions = list(bad)
        for row, reason in zip(table.index.to_numpy()[positions], bad.values(), strict=True):
            problems.add(f"{name}, row {row + 2}: {reason}")
        if problems.total > self.bad_rows_share * n_rows:
            raise problems.error()
        self.set_aside += problems.texts
        valid = table.drop(index=table.index[positions]) if positions else table
        if len(valid) == 0:
            raise _unusable(f"{name}: has no valid row")
        return valid.reset_index(drop=True)


@dataclass
class _Problems:
    """The problems of one file.

    ``keep_all`` False bounds the memory: a file of millions of ratings may be bad in every row.
    """

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
    return InvalidData("the data set is invalid: " + "\n  ".join(problems), problems)


def _read(path: Path, columns: Mapping[str, Any], problems: _Problems) -> pd.DataFrame:
    """Return the rows that can be parsed, indexed by their position below the header."""
    if not path.is_file():
        raise _unusable(f"{path.name}: is missing from {path.parent}")
    _check_text(path)
    _check_header(path, columns)
    # Pandas silently fills a missing text at the end of a line with an empty one.
    if str not in columns.values():
        try:
            return _read_with_pandas(path, columns)
        except (ValueError, OverflowError, pd.errors.ParserWarning):
            pass
    return _read_line_by_line(path, columns, problems)


def _check_text(path: Path) -> None:
    """Check that the file is UTF-8 and ends with a line end.

    Raises:
        InvalidData: it is garbled, empty or cut off.
    """
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
            f"{path.name}, row {row}: the file ends in the middle of a line; download it again, "
            "or add a line end if it is complete"
        )


def _check_header(path: Path, columns: Iterable[str]) -> None:
    """Check that the header has all ``columns``.

    Raises:
        InvalidData: a column is missing.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    missing = [column for column in columns if column not in header]
    if missing:
        raise _unusable(
            f"{path.name}, row 1: column {', '.join(missing)} is missing; "
            f"the header has {', '.join(header)}"
        )


def _read_with_pandas(path: Path, columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read the file at once; raise a pandas error or warning where any line may be bad."""
    with warnings.catch_warnings():
        # Pandas drops the surplus fields of a line with a mere warning.
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
    """Read the lines that can be parsed; add the others to ``problems``; skip empty lines."""
    values = {column: _empty_sequence(kind) for column, kind in columns.items()}
    rows = array("q")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = csv.reader(file)
        header = next(lines)
        fields_of_interest = [
            (header.index(column), column, kind) for column, kind in columns.items()
        ]
        for row, line in enumerate(lines):
            if not line:
                continue
            try:
                if len(line) != len(header):
                    raise ValueError(f"has {len(line)} fields, the header has {len(header)}")
                fields = [_parse(line[at], column, kind) for at, column, kind in fields_of_interest]
            except ValueError as error:
                problems.add(f"{path.name}, row {row + 2}: {error}")
                continue
            for column, value in zip(columns, fields, strict=True):
                values[column].append(value)
            rows.append(row)
    table = {column: pd.Series(values[column], dtype=kind) for column, kind in columns.items()}
    return pd.DataFrame(table).set_axis(np.array(rows, dtype=np.int64))


def _empty_sequence(kind: Any) -> Any:
    """Return an empty sequence to append to, compact in memory where the kind allows it."""
    if kind is np.int64:
        return array("q")
    return array("f") if kind is np.float32 else []


def _parse(text: str, column: str, kind: Any) -> Any:
    """Parse one field.

    Raises:
        ValueError: the text is not of this kind; the message is the reason that users read.
    """
    if kind is str:
        return text
    if kind is schema.OPTIONAL_INT and text == "":
        return None
    try:
        # Python reads 1_000 as a number, which no CSV file means.
        value = float(text) if kind is np.float32 else int(text.replace("_", "?"))
    except ValueError:
        expected = "a number" if kind is np.float32 else "a whole number"
        raise ValueError(f"{column} {text!r} is not {expected}") from None
    if kind is not np.float32 and abs(value) > _LARGEST_INT:
        raise ValueError(f"{column} {text!r} is too large")
    return value
