"""On any bytes, the reader agrees with a strict reader, or names the file and the row."""

from __future__ import annotations

import contextlib
import re
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandera.pandas as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moovier.data.csv_tables import Tables
from moovier.data.csv_values import decimal_number, split_line, whole_number
from moovier.data.schema import OPTIONAL_INT
from moovier.errors import InvalidData

NUMBERS = {"id": np.int64, "stars": np.float32}
TEXTS = {"id": np.int64, "title": str, "link": OPTIONAL_INT}
ANY = pa.DataFrameSchema({})
ROW_OR_FILE = re.compile(r"table\.csv(, row \d+)?: \S|\.\.\. and [\d,]+ more bad rows")

_FIELDS = st.one_of(
    st.sampled_from(["1", "12", "1.0", "9.64983E+08", "1E+999999", "1e-1", "0.5", "4.5", "4_5"]),
    st.sampled_from(["9007199254740993", "9007199254740993.0", "9223372036854775808", "4.500001"]),
    st.sampled_from(["-0", "+1", " 7 ", "007", "", "nan", "inf", "٣", "0x1F", "True", ".", "1."]),
    st.sampled_from([".5", "1,5", '"1"', '"1,5"', '"', '"a""b"', '"a"b', 'a"b', "x\0", "x\ry"]),
    st.sampled_from(["é", "\ufeff1", "\u2028", "\x1c", "#", "'"]),
)
_LINES = st.lists(_FIELDS, max_size=4).map(",".join)
_ENDS = st.sampled_from(["\n", "\n", "\n", "\r\n", "\r", "\n\n", "\r\r\n"])
_TABLES = st.lists(st.tuples(_LINES, _ENDS), max_size=6).map(
    lambda lines: "".join(line + end for line, end in lines).encode()
)


def read(columns: dict[str, Any], body: bytes, share: float) -> tuple[list[list[Any]], list[str]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "table.csv").write_bytes(",".join(columns).encode() + b"\n" + body)
        tables = Tables(folder, share)
        table = tables.read_valid_rows("table.csv", columns, ANY)
    rows = table.astype(object).where(table.notna(), None).to_numpy().tolist()
    return rows, tables.set_aside


def read_or_problems(columns: dict[str, Any], body: bytes, share: float) -> Any:
    """Return the rows and what was set aside, or None and the problems of a refused file."""
    try:
        return read(columns, body, share)
    except InvalidData as error:
        return None, list(error.problems)


def strict(columns: dict[str, Any], body: bytes) -> tuple[list[list[Any]], list[int]]:
    """Return the values of the good lines, and the rows of the bad ones."""
    parsers: dict[Any, Any] = {
        np.int64: whole_number,
        np.float32: lambda text, column: float(np.float32(decimal_number(text, column))),
        str: lambda text, column: text,
        OPTIONAL_INT: lambda text, column: whole_number(text, column) if text else None,
    }
    good, bad = [], []
    for row, line in enumerate(body.decode().split("\n")[:-1], 2):
        try:
            fields = split_line(line + "\n", len(columns))
            if fields:
                pairs = zip(fields, columns.items(), strict=True)
                good.append([parsers[kind](text, column) for text, (column, kind) in pairs])
        except ValueError:
            bad.append(row)
    return good, bad


@pytest.mark.parametrize("columns", [NUMBERS, TEXTS], ids=["numbers", "texts"])
@given(body=_TABLES)
def test_reader_agrees_with_the_strict_reader(columns: dict[str, Any], body: bytes) -> None:
    rows, problems = read_or_problems(columns, body, 1.0)
    assert all(ROW_OR_FILE.match(problem) for problem in problems)
    if rows is None:
        assert problems
        return
    good, bad = strict(columns, body)
    assert rows == good
    assert [int(problem.split()[2].rstrip(":")) for problem in problems] == bad


@pytest.mark.parametrize("columns", [NUMBERS, TEXTS], ids=["numbers", "texts"])
@given(body=st.binary(max_size=60) | _TABLES)
def test_any_bytes_are_read_or_named(columns: dict[str, Any], body: bytes) -> None:
    rows, problems = read_or_problems(columns, body, 0.0)
    assert all(ROW_OR_FILE.match(problem) for problem in problems)
    assert (rows is None) == bool(problems)
    if rows is not None:
        assert (rows, []) == strict(columns, body)


@given(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(0, 25), st.sampled_from("eE"))
def test_whole_number_is_exact_in_each_notation(value: int, shift: int, letter: str) -> None:
    for text in (
        str(value),
        f" {value}.000 ",
        f"{value}{'0' * shift}{letter}-{shift}",
        f"{Decimal(value).scaleb(-shift):f}{letter}+{shift}",
    ):
        assert whole_number(text, "id") == value


@given(st.text(alphabet="0123456789.eE+-_ \t", max_size=12) | st.text(max_size=8))
def test_whole_number_agrees_with_decimal_or_is_refused(text: str) -> None:
    value = None
    with contextlib.suppress(ValueError):
        value = whole_number(text, "id")
    if value is not None:
        assert Decimal(value) == Decimal(text.strip())
        assert re.fullmatch(r"[0-9.eE+\- \t]+", text)


@pytest.mark.parametrize("text", ["1E+999999999", "9" * 100_000, "1" + "0" * 50_000 + "E+999999"])
def test_huge_number_is_refused_at_once_with_a_short_message(text: str) -> None:
    with pytest.raises(ValueError, match=r"too large|not a whole number") as caught:
        whole_number(text, "id")
    assert len(str(caught.value)) < 200


def test_value_of_a_link_does_not_depend_on_another_row() -> None:
    body = b"1,A,9007199254740993\n2,B,862.0\n3,C,\n"
    assert read(TEXTS, body, 0.0)[0] == [[1, "A", 2**53 + 1], [2, "B", 862], [3, "C", None]]
    with pytest.raises(InvalidData, match=r"table\.csv, row 3: link '862\.5' is not a whole"):
        read(TEXTS, body.replace(b"862.0", b"862.5"), 0.0)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_plain_file_is_read_fast_whatever_its_line_ends(
    end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moovier.data import csv_tables

    monkeypatch.setattr(csv_tables, "_read_line_by_line", None)
    assert read(NUMBERS, b"1,4.5" + end + b"2,3" + end, 0.0)[0] == [[1, 4.5], [2, 3.0]]
