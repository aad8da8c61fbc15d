"""Read CSV files into valid tables; errors name each bad row by file, row and reason.

One line of a file is one row; row 1 is the header. Arrow reads a large file of ratings fast, but
it takes other spellings of numbers than the reader line by line. It therefore reads only files in
which the two cannot differ: plain digits in every row.
"""

from __future__ import annotations

import codecs
import io
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from moovier.data import foreign_files, schema
from moovier.data.csv_problems import Problems, replaced_reason, too_many, unusable
from moovier.data.csv_values import decimal_number, split_line, whole_number
from moovier.data.text_columns import TextColumn

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

        A column whose type is a :class:`TextColumn` has the numbers of its texts.

        ``replaced``: returns the positions of valid rows that others replace, each with the
        position of the other row; the replaced rows count as bad.

        Raises:
            InvalidData: the file cannot be used, or too many rows are bad.
        """
        path = self.folder / name
        problems = Problems(keep_all=self.bad_rows_share > 0)
        try:
            table = _read(path, columns, problems)
        except OSError as error:
            raise unusable(f"{name}: cannot be read: {error.strerror or error}") from error
        n_rows = len(table) + problems.total
        texts_of = {
            column: kind for column, kind in columns.items() if isinstance(kind, TextColumn)
        }
        table = _valid(table, rules, problems, texts_of)
        if replaced is not None:
            rows = table.index.to_numpy()
            others = replaced(table.reset_index(drop=True))
            for position, other in others.items():
                problems.add(rows[position], replaced_reason(rows[other]))
            table = _without(table, others)
        self.accept(name, problems, n_rows, len(table))
        return table.reset_index(drop=True)

    def accept(self, name: str, problems: Problems, n_rows: int, n_valid: int) -> None:
        """Set aside the bad rows of a file with ``n_rows`` rows, ``n_valid`` of them valid.

        Raises:
            InvalidData: too many rows are bad, or none is valid.
        """
        texts = problems.texts(name)
        if problems.total > self.bad_rows_share * n_rows:
            # A bad row of an earlier file may be the cause, as when a movie was set aside.
            raise too_many([*self.set_aside, *texts], problems.total + len(self.set_aside))
        self.set_aside += texts
        if n_valid == 0:
            raise unusable(f"{name}: has no valid row")


@dataclass(frozen=True)
class CheckedLines:
    """The rows of some lines of a file, which are numbered from 0.

    ``valid``: valid rows, indexed by line. ``unreadable``, ``invalid``: problems by line, of rows
    that cannot be parsed, and of rows that break a rule. ``n_rows``: lines that are not empty.
    """

    valid: pd.DataFrame
    unreadable: Problems
    invalid: Problems
    n_rows: int


def check_lines(
    content: bytes, header: list[str], columns: Mapping[str, Any], rules: Any, *, keep_all: bool
) -> CheckedLines:
    """Return the rows of whole lines, checked as :meth:`Tables.read_valid_rows` does.

    Raises:
        UnicodeDecodeError: a line is not UTF-8.
    """
    text = content.decode("utf-8")
    unreadable, invalid = Problems(keep_all), Problems(keep_all)
    table = _parse_lines(content, text, header, columns, unreadable)
    n_rows = len(table) + unreadable.total
    return CheckedLines(_valid(table, rules, invalid), unreadable, invalid, n_rows)


def check_table(table: pd.DataFrame, rules: Any, *, keep_all: bool) -> CheckedLines:
    """Return the rows of a table whose values have the right types, as :func:`check_lines`."""
    invalid = Problems(keep_all)
    return CheckedLines(_valid(table, rules, invalid), Problems(keep_all), invalid, len(table))


def _parse_lines(
    content: bytes, text: str, header: list[str], columns: Mapping[str, Any], problems: Problems
) -> pd.DataFrame:
    import pyarrow as pa

    if _is_plain(content, b""):
        try:
            return _read_at_once(pa.BufferReader(content), header, columns, skip=0, first_row=0)
        except ValueError:
            pass
    lines = enumerate(io.StringIO(text, newline="\n"))
    return _read_line_by_line(lines, header, columns, problems)


def _valid(
    table: pd.DataFrame,
    rules: Any,
    problems: Problems,
    texts_of: Mapping[str, TextColumn] = MappingProxyType({}),
) -> pd.DataFrame:
    """Return the rows that satisfy the rules; add the others to ``problems``."""
    bad = schema.bad_rows(table.reset_index(drop=True), rules, texts_of)
    rows = table.index.to_numpy()
    for row, reason in zip(rows[list(bad)], bad.values(), strict=True):
        problems.add(row, reason)
    return _without(table, bad)


def _without(table: pd.DataFrame, positions: Iterable[int]) -> pd.DataFrame:
    keep = np.ones(len(table), dtype=bool)
    keep[list(positions)] = False
    return table if keep.all() else table[keep]


def _read(path: Path, columns: Mapping[str, Any], problems: Problems) -> pd.DataFrame:
    """Return the rows that can be parsed, indexed by their line in the file, from 1."""
    if not path.is_file():
        raise unusable(foreign_files.missing(path))
    is_plain = check_text(path)
    header = read_header(path, columns)
    if is_plain and all(kind in (np.int64, np.float32) for kind in columns.values()):
        try:
            return _read_at_once(path, header, columns)
        except ValueError:
            pass
    with path.open(encoding="utf-8", newline="\n") as file:
        file.readline()
        return _read_line_by_line(enumerate(file, 2), header, columns, problems)


def check_text(path: Path) -> bool:
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
                raise unusable(_not_utf8(path, row, error.reason)) from error
            row += block.count(b"\n")
            is_plain = is_plain and (is_header or _is_plain(block, last))
            is_header, last = False, block
    if not last:
        raise unusable(f"{path.name}: is empty")
    if row == 1 and b"\r" in last.rstrip(b"\r\n"):
        raise unusable(
            f"{path.name}: its lines end with carriage returns only, as on old Macs; save it with "
            "Unix or Windows line ends"
        )
    if not last.endswith(b"\n"):
        raise unusable(cut_off(path.name, row))
    return is_plain


def _is_plain(block: bytes, previous: bytes) -> bool:
    """Return whether a block has only plain characters and Unix or Windows line ends."""
    if previous.endswith(b"\r"):
        block = b"\r" + block
    return not block.removesuffix(b"\r").replace(b"\r\n", b"").translate(None, _PLAIN)


def cut_off(name: str, row: int) -> str:
    """Return the problem of a file whose last row ends without a line end."""
    return (
        f"{name}, row {row}: the file ends in the middle of a line; download it again, or add a "
        "line end if it is complete"
    )


def _not_utf8(path: Path, row: int, reason: str) -> str:
    with path.open("rb") as file:
        return not_utf8(path.name, row, reason, file.read(4))


def not_utf8(name: str, row: int, reason: str, start: bytes) -> str:
    """Return the problem of a file that is not UTF-8; ``start``: its first four bytes."""
    hint = ""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        hint = ": it is UTF-16; save it as UTF-8"
    elif start.startswith((b"PK\x03\x04", b"\x1f\x8b")):
        hint = ": it is packed (zip, gzip or Excel); unpack it, or save it as CSV"
    return f"{name}, row {row}: is not UTF-8 text ({reason}){hint}"


def read_header(path: Path, columns: Mapping[str, Any]) -> list[str]:
    """Return the names in the first line, which has all ``columns``.

    Raises:
        InvalidData: the line cannot be read, or a column is missing or occurs twice.
    """
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        line = file.readline()
    try:
        header = split_line(line)
    except ValueError as error:
        raise unusable(f"{path.name}, row 1: {error}") from error
    missing = [column for column in columns if column not in header]
    if missing:
        raise unusable(foreign_files.wrong_header(path, header, missing))
    twice = [column for column in columns if header.count(column) > 1]
    if twice:
        raise unusable(f"{path.name}, row 1: column {', '.join(twice)} occurs twice")
    return header


def _read_at_once(
    source: Any, header: list[str], columns: Mapping[str, Any], *, skip: int = 1, first_row: int = 2
) -> pd.DataFrame:
    """Read a file or a buffer of plain digits at once, by Arrow.

    ``skip``: lines to skip. ``first_row``: the number of the first row after them.

    Raises:
        ValueError: a value or a line may be bad, or is not written as the column's type. Arrow's
            own errors are of this kind.
    """
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    types = {np.int64: pa.int64(), np.float32: pa.float64()}
    table = arrow_csv.read_csv(
        source,
        read_options=arrow_csv.ReadOptions(column_names=_distinct(header), skip_rows=skip),
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
    index = pd.RangeIndex(first_row, n_rows + first_row)
    return pd.DataFrame(arrays, index=index, copy=False)


def _distinct(header: list[str]) -> list[str]:
    """Return the column names, with a number appended to each repeated one."""
    seen: set[str] = set()
    names = []
    for place, name in enumerate(header):
        names.append(f"{name}\n{place}" if name in seen else name)
        seen.add(name)
    return names


def _read_line_by_line(
    lines: Iterable[tuple[int, str]],
    header: list[str],
    columns: Mapping[str, Any],
    problems: Problems,
) -> pd.DataFrame:
    """Read the lines that can be parsed; add the others to ``problems``; skip empty lines.

    ``lines``: each with its row.
    """
    values = {column: _empty_sequence(kind) for column, kind in columns.items()}
    rows = array("q")
    fields_of_interest = [(header.index(column), column, kind) for column, kind in columns.items()]
    for row, line in lines:
        try:
            parts = split_line(line, len(header))
            if not parts:
                continue
            fields = [_parse(parts[at], column, kind) for at, column, kind in fields_of_interest]
        except ValueError as error:
            problems.add(row, str(error))
            continue
        for column, value in zip(columns, fields, strict=True):
            values[column].append(value)
        rows.append(row)
    table = {
        column: pd.Series(values[column], dtype=np.int64 if isinstance(kind, TextColumn) else kind)
        for column, kind in columns.items()
    }
    return pd.DataFrame(table).set_axis(np.array(rows, dtype=np.int64))


def _empty_sequence(kind: Any) -> Any:
    """Return an empty sequence to append to, compact in memory where the kind allows it."""
    if kind is np.int64 or isinstance(kind, TextColumn):
        return array("q")
    return array("f") if kind is np.float32 else []


def _parse(text: str, column: str, kind: Any) -> Any:
    """Parse one field.

    Raises:
        ValueError: the text is not of this kind; the message is the reason that users read.
    """
    if kind is str:
        return text
    if isinstance(kind, TextColumn):
        return kind.number(text, column)
    if kind is schema.OPTIONAL_INT and text == "":
        return None
    return decimal_number(text, column) if kind is np.float32 else whole_number(text, column)
