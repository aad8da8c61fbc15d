"""Fields of CSV lines, and the reasons for refusing them."""

from __future__ import annotations

import pytest

from moovier.data.csv_values import LARGEST_INT, decimal_number, shown, split_line, whole_number


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", []),
        ("\n", []),
        ("\r\n", []),
        ("a", ["a"]),
        ("1,2,3\n", ["1", "2", "3"]),
        ("1,,3\r\n", ["1", "", "3"]),
        (",", ["", ""]),
        ('1,"a, b",3', ["1", "a, b", "3"]),
        ('"say ""hi""",2', ['say "hi"', "2"]),
        ('""', [""]),
        (" a , b ", [" a ", " b "]),
    ],
)
def test_a_line_has_its_fields(line: str, fields: list[str]) -> None:
    assert split_line(line) == fields


def test_the_number_of_fields_is_checked_except_for_an_empty_line() -> None:
    assert split_line("1,2", 2) == ["1", "2"]
    assert split_line("\n", 3) == []
    for line, n in (("1,2,3", 3), ("1", 1), ('"1,2"', 1)):
        with pytest.raises(ValueError, match=f"has {n} fields, the header has 2"):
            split_line(line, 2)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("a\rb", "carriage return"),
        ("a\r\r\n", "carriage return"),
        ("a\0b", "NUL character"),
        ('1,"open', "a quote opens here and is not closed on the same line"),
        ('"a"b,2', "a closing quote is followed by text"),
    ],
)
def test_a_line_that_is_no_csv_is_refused_with_the_reason(line: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        split_line(line)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0), ("007", 7), (" 7\t", 7), ("+7", 7), ("-7", -7), ("-0", 0), ("1.0", 1), ("1.", 1),
        ("9.64983E+08", 964_983_000), ("120e-1", 12), ("0e999999", 0), (".5e1", 5),
        (str(LARGEST_INT), LARGEST_INT), (f"{LARGEST_INT}.000", LARGEST_INT),
        (f"-{LARGEST_INT}", -LARGEST_INT),
    ],
)  # fmt: skip
def test_whole_numbers_are_read_in_each_notation(text: str, value: int) -> None:
    assert whole_number(text, "id") == value


@pytest.mark.parametrize(
    "text", ["", " ", ".", "+", "e5", "1.5", "1e-1", "1_0", "nan", "inf", "0x1F", "\u0663", "1 2"]
)
def test_other_texts_are_no_whole_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"^id .* is not a whole number$"):
        whole_number(text, "id")


@pytest.mark.parametrize("text", [str(LARGEST_INT + 1), "1e19", "-1E+99999"])
def test_numbers_of_more_than_64_bits_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is too large"):
        whole_number(text, "id")


@pytest.mark.parametrize("text", ["2024-05-01", "5/1/2024 10:00", "01.05.2024"])
def test_a_date_as_a_timestamp_gets_a_hint(text: str) -> None:
    with pytest.raises(ValueError, match="dates must become seconds since 1970"):
        whole_number(text, "timestamp")
    with pytest.raises(ValueError, match=r"is not a whole number$"):
        whole_number(text, "movieId")


@pytest.mark.parametrize(
    ("text", "value"),
    [("4", 4.0), ("4.5", 4.5), (" .5 ", 0.5), ("5.", 5.0), ("-1", -1.0)],
)
def test_plain_decimal_numbers_are_read(text: str, value: float) -> None:
    assert decimal_number(text, "rating") == value


@pytest.mark.parametrize("text", ["", ".", "nan", "inf", "1_0", "1e3", "0x1", "4 5", "\u0664"])
def test_other_texts_are_no_decimal_numbers(text: str) -> None:
    with pytest.raises(ValueError, match=r"^rating .* is not a number$"):
        decimal_number(text, "rating")


def test_a_comma_in_a_number_gets_a_hint() -> None:
    with pytest.raises(ValueError, match="rating '4,5' is not a number: write it with a point"):
        decimal_number("4,5", "rating")


def test_long_texts_are_shortened() -> None:
    assert shown("x" * 60) == repr("x" * 60)
    assert shown("x" * 1234) == f"{'x' * 60!r}... (1,234 characters)"
