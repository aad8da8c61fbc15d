"""Parse the lines and the fields of CSV files; every reader of a file uses these functions.

One line of text is one row. Every function raises ``ValueError`` with the reason that users read,
without file and row, which the caller knows.
"""

from __future__ import annotations

import csv
import functools
import re

#: The largest whole number that a table holds: 64 bits with a sign.
LARGEST_INT = 2**63 - 1
_SHOWN_CHARACTERS = 60
_WHOLE = re.compile(r"([+-]?)([0-9]*)(?:\.([0-9]*))?(?:[eE]([+-]?)0*([0-9]{1,6}))?")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_DATE = re.compile(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}\b.*", re.DOTALL)
_SPACES = " \t"


def split_line(line: str, width: int | None = None) -> list[str]:
    """Return the fields of one line, ``width`` of them; an empty line has none.

    Raises:
        ValueError: a quote is not closed on the line, a character belongs to no CSV file, or there
            are more or fewer fields.
    """
    fields = _fields(line)
    if width is not None and fields and len(fields) != width:
        raise ValueError(f"has {len(fields)} fields, the header has {width}")
    return fields


def _fields(line: str) -> list[str]:
    text = line.removesuffix("\n").removesuffix("\r")
    if "\r" in text:
        raise ValueError("has a carriage return within the line: use one kind of line end")
    if "\0" in text:
        raise ValueError("has a NUL character: the file is damaged, or not a CSV file")
    if '"' not in text:
        return text.split(",") if text else []
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        reason = str(error)
    if reason == "unexpected end of data":
        reason = "a quote opens here and is not closed on the same line"
    elif "expected after" in reason:
        reason = 'a closing quote is followed by text: write a quote within quotes as ""'
    raise ValueError(reason)


def whole_number(text: str, column: str) -> int:
    """Parse a whole number, also where a program wrote it as ``1.0`` or ``9.64983E+08``.

    The value is exact: digits after the point must be zeros, or be moved before it by the exponent.

    Raises:
        ValueError: the text is not exactly a whole number, or needs more than 64 bits.
    """
    # The usual cases, on their own because they occur in each row of a large file.
    plain = text.removesuffix(".0")
    if len(plain) < 19 and plain.isascii() and plain.isdigit():
        return int(plain)
    stripped = text.strip(_SPACES)
    match = _WHOLE.fullmatch(stripped)
    if match is None or not (match[2] or match[3]):
        raise ValueError(f"{column} {shown(text)} is not a whole number{_hint(stripped, column)}")
    sign, before, after, exponent_sign, exponent_digits = match.groups(default="")
    digits = (before + after).lstrip("0")
    if not digits:
        return 0
    exponent = int((exponent_sign + exponent_digits) or "0") - len(after)
    significant = digits.rstrip("0")
    exponent += len(digits) - len(significant)
    if exponent < 0:
        raise ValueError(f"{column} {shown(text)} is not a whole number")
    # The length is compared first, so that no huge number is computed.
    if len(significant) + exponent > len(str(LARGEST_INT)):
        raise ValueError(f"{column} {shown(text)} is too large")
    value = int(significant + "0" * exponent)
    if value > LARGEST_INT:
        raise ValueError(f"{column} {shown(text)} is too large")
    return -value if sign == "-" else value


@functools.lru_cache(maxsize=256)
def decimal_number(text: str, column: str) -> float:
    """Parse a plain decimal number, such as ``4`` or ``4.5``.

    Raises:
        ValueError: the text is not one; ``nan``, ``inf`` and ``1_0`` are none.
    """
    stripped = text.strip(_SPACES)
    if not _DECIMAL.fullmatch(stripped):
        hint = ": write it with a point" if re.fullmatch("[0-9]+,[0-9]+", stripped) else ""
        raise ValueError(f"{column} {shown(text)} is not a number{hint}")
    return float(stripped)


def shown(text: str) -> str:
    """Return ``text`` in quotes and shortened, for a message."""
    if len(text) <= _SHOWN_CHARACTERS:
        return repr(text)
    return f"{text[:_SHOWN_CHARACTERS]!r}... ({len(text):,} characters)"


def _hint(text: str, column: str) -> str:
    is_date = column == "timestamp" and _DATE.fullmatch(text)
    return ": dates must become seconds since 1970" if is_date else ""
