"""Read CSV files into valid tables; errors name each bad row by file, row and reason.

One line of a file is one row; row 1 is the header. Arrow reads a large file of ratings fast, but
it takes other spellings of numbers than the reader line by line. It therefore reads only files in
which the two cannot differ: plain digits in every row.
"""

from __future__ import annotations

import codecs
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moovier.data import foreign_files, schema
from moovier.data.csv_values import decimal_number, split_line, whole_number
from moovier.errors import InvalidData

#: The most problems that an error lists; it counts the others.
SHOWN_PROBLEMS = 20
_PLAIN = b"0123456789.,\n"


@dataclass
class Tables:
    """The CSV files of one folder.

    ``bad_rows_share``: the share of each file's rows (0 to 1) that may be set aside.
    ``set_aside``: the rows that were left out, each "file, row N: reason".
    """

    folder: Path
    bad_rows_share: float
    set_aside: list[str] = field(default_factory=list)

    def read_valid_rows(
        self,
        name: str,
        columns: Mapping[str, Any],
        rules: Any,
        replaced: Callable[[pd.DataFrame], Mapping[int, int]] | None = None,
    ) -> pd.DataFrame:
        """Return the given columns of the rows that satisfy ``rules``, in file order.

        ``replaced``: returns the positions of valid rows that others replace, each with the
        position of the other row; the replaced rows count as bad.

        Raises:
            InvalidData: the file cannot be used, or too many rows are bad.
        """
        path = self.folder / name
        problems = _Problems(keep_all=self.bad_rows_share > 0)
        try:
            table = _read(path, columns, problems)
        except OSError as error:
            raise _unusable(f"{name}: cannot be read: {error.strerror or error}") from error
        n_rows = len(table) + problems.total
        bad = schema.bad_rows(table.reset_index(drop=True), rules)
        rows = table.index.to_numpy()
        for row, reason in zip(rows[list(bad)], bad.values(), strict=True):
            problems.add(row, reason)
        table = _without(table, bad)
        if replaced is not None:
            rows = table.index.to_numpy()
            others = replaced(table.reset_index(drop=True))
            for position, other in others.items():
                problems.add(
                    rows[position],
                    f"this user rates the same movie again in row {rows[other]}, which counts: "
                    "it is newer, or later in the file at the same second; keep only that row",
                )
            table = _without(table, others)
        texts = problems.texts(name)
        if problems.total > self.bad_rows_share * n_rows:
            # A bad row of an earlier file may be the cause, as when a movie was set aside.
            raise _too_many([*self.set_aside, *texts], problems.total + len(self.set_aside))
        self.set_aside += texts
        if len(table) == 0:
            raise _unusable(f"{name}: has no valid row")
        return table.reset_index(drop=True)


@dataclass
class _Problems:
    """The problems of one file by row.

    ``keep_all`` False bounds the memory: a file of millions of ratings may be bad in every row.
    """

    keep_all: bool
    reasons: list[tuple[int, str]] = field(default_factory=list)
    total: int = 0

    def add(self, row: int, reason: str) -> None:
        self.total += 1
        if self.keep_all or len(self.reasons) < SHOWN_PROBLEMS:
            self.reasons.append((int(row), reason))

    def texts(self, name: str) -> list[str]:
        """Return the problems in the order of the rows."""
        return [f"{name}, row {row}: {reason}" for row, reason in sorted(self.reasons)]


def _too_many(texts: list[str], total: int) -> InvalidData:
    texts = texts[:SHOWN_PROBLEMS]
    hidden = total - len(texts)
    return _unusable(*texts, *([f"... and {hidden:,} more bad rows"] if hidden else []))


def _unusable(*problems: str) -> InvalidData:
    return InvalidData("the data set is invalid: " + "\n  ".join(problems), problems)


def _without(table: pd.DataFrame, positions: Iterable[int]) -> pd.DataFrame:
    keep = np.ones(len(table), dtype=bool)
    keep[list(positions)] = False
    return table if keep.all() else table[keep]


def _read(path: Path, columns: Mapping[str, Any], problems: _Problems) -> pd.DataFrame:
    """Return the rows that can be parsed, indexed by their line in the file, from 1."""
    if not path.is_file():
        raise _unusable(foreign_files.missing(path))
    is_plain = _check_text(path)
    header = _header(path, columns)
    if is_plain and schema.OPTIONAL_INT not in columns.values() and str not in columns.values():
        try:
            return _read_at_once(path, header, columns)
        except ValueError:
            pass
    return _read_line_by_line(path, header, columns, problems)


def _check_text(path: Path) -> bool:
    """Check that the file is UTF-8 and ends with a line end.

    Returns whether each line below the header has only digits, points and commas.

    Raises:
        InvalidData: it is garbled, empty or cut off.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    row, last, is_plain, is_header = 1, b"", True, True
    with path.open("rb") as file:
        while block := file.readline() if is_header else file.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                row += bytes(error.object[: error.start]).count(b"\n")
                raise _unusable(_not_utf8(path, row, error)) from error
            row += block.count(b"\n")
            is_plain = is_plain and (is_header or _is_plain(block, last))
            is_header, last = False, block
    if not last:
        raise _unusable(f"{path.name}: is empty")
    if row == 1 and b"\r" in last.rstrip(b"\r\n"):
        raise _unusable(
            f"{path.name}: its lines end with carriage returns only, as on old Macs; save it with "
            "Unix or Windows line ends"
        )
    if not last.endswith(b"\n"):
        raise _unusable(
            f"{path.name}, row {row}: the file ends in the middle of a line; download it again, "
            "or add a line end if it is complete"
        )
    return is_plain


def _is_plain(block: bytes, previous: bytes) -> bool:
    """Return whether a block has only plain characters and Unix or Windows line ends."""
    if previous.endswith(b"\r"):
        block = b"\r" + block
    return not block.removesuffix(b"\r").replace(b"\r\n", b"").translate(None, _PLAIN)


def _not_utf8(path: Path, row: int, error: UnicodeDecodeError) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    hint = ""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        hint = ": it is UTF-16; save it as UTF-8"
    elif start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        hint = ": it is packed (zip, gzip or Excel); unpack it, or save it as CSV"
    return f"{path.name}, row {row}: is not UTF-8 text ({error.reason}){hint}"


def _header(path: Path, columns: Mapping[str, Any]) -> list[str]:
    """Return the names in the first line, which has all ``columns``.

    Raises:
        InvalidData: the line cannot be read, or a column is missing or occurs twice.
    """
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        line = file.readline()
    try:
        header = split_line(line)
    except ValueError as error:
        raise _unusable(f"{path.name}, row 1: {error}") from error
    missing = [column for column in columns if column not in header]
    if missing:
        raise _unusable(foreign_files.wrong_header(path, header, missing))
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise _unusable(f"{path.name}, row 1: column {', '.join(twice)} occurs twice")
    return header


def _read_at_once(path: Path, header: list[str], columns: Mapping[str, Any]) -> pd.DataFrame:
    """Read a file of plain digits at once, by Arrow.

    Raises:
        ValueError: a value or a line may be bad, or is not written as the column's type. Arrow's
            own errors are of this kind.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    types = {np.int64: pa.int64(), np.float32: pa.float64()}
    table = arrow_csv.read_csv(
        path,
        read_options=arrow_csv.ReadOptions(column_names=_distinct(header), skip_rows=1),
        parse_options=arrow_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        convert_options=arrow_csv.ConvertOptions(
            column_types={column: types[kind] for column, kind in columns.items()},
            include_columns=list(columns),
            null_values=[""],
        ),
    )
    arrays: dict[str, Any] = {}
    for column, kind in columns.items():
        if table[column].null_count:
            raise ValueError(f"{column} is not in plain numbers")
        values = table[column].to_numpy()
        table = table.drop_columns([column])
        if kind is np.float32:
            # Arrow may round the last bit in another way than Python, which no stars depend on.
            if (values.astype(np.float32) != values).any():
                raise ValueError(f"{column} is rounded")
            values = values.astype(np.float32)
        arrays[column] = values
    n_rows = len(arrays[next(iter(columns))])
    return pd.DataFrame(arrays, index=pd.RangeIndex(2, n_rows + 2), copy=False)


def _distinct(header: list[str]) -> list[str]:
    """Return the column names, with a number appended to each repeated one."""
    seen: set[str] = set()
    names = []
    for place, name in enumerate(header):
        names.append(f"{name}\n{place}" if name in seen else name)
        seen.add(name)
    return names


def _read_line_by_line(
    path: Path, header: list[str], columns: Mapping[str, Any], problems: _Problems
) -> pd.DataFrame:
    """Read the lines that can be parsed; add the others to ``problems``; skip empty lines."""
    values = {column: _empty_sequence(kind) for column, kind in columns.items()}
    rows = array("q")
    fields_of_interest = [(header.index(column), column, kind) for column, kind in columns.items()]
    with path.open(encoding="utf-8", newline="\n") as file:
        file.readline()
        for row, line in enumerate(file, 2):
            try:
                parts = split_line(line, len(header))
                if not parts:
                    continue
                fields = [
                    _parse(parts[at], column, kind) for at, column, kind in fields_of_interest
                ]
            except ValueError as error:
                problems.add(row, str(error))
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
    return decimal_number(text, column) if kind is np.float32 else whole_number(text, column)
