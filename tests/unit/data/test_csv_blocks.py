"""The lines of some users are found in blocks of a file."""

from __future__ import annotations

import io

import pytest

from moovier.data import csv_blocks
from moovier.data.csv_blocks import blocks

HEADER = ["userId", "movieId", "rating", "timestamp"]


def chosen(text: bytes, users: set[int]) -> list[tuple[int, bytes]]:
    """Return number and content of each chosen line."""
    return [
        (block.first_row + position, block.content[slice(*block.line(position))])
        for block in blocks(io.BytesIO(text), HEADER, "userId", users)
        for position in block.chosen.tolist()
    ]


@pytest.mark.parametrize("size", [1, 20, 1 << 20])
def test_lines_of_users_are_found_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", size)
    text = b"1,2,3.5,10\n22,2,3,10\r\n1,7,3,10\n4,2,1,1\n22,1,1,1"
    assert chosen(text, {22, 5}) == [(3, b"22,2,3,10\r\n"), (6, b"22,1,1,1")]
    assert chosen(text, set()) == []


@pytest.mark.parametrize(
    "odd",
    [b'"1",2,3,4', b"1.0,2,3,4", b"1,2,3", b"", b"x,2,3,4", b"1,2,3,4\0", b"1,2,\r3,4", b",2,3,4"],
)
def test_all_lines_are_chosen_beside_an_odd_one(odd: bytes) -> None:
    text = b"1,2,3.5,10\n" + odd + b"\n3,2,3.5,10\n"
    assert [row for row, _ in chosen(text, {3})] == [2, 3, 4]
