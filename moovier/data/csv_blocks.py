"""Find the lines of some users in a large CSV file, without a Python loop over all lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

#: Bytes that are searched at a time.
BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class Block:
    """Whole lines of a file.

    ``content``: the lines. ``first_row``: number of the first line in the file, from 1. ``ends``:
    (n,) where each line ends in the content, its line end included. ``chosen``: ascending
    positions of the lines to look at.
    """

    content: bytes
    first_row: int
    ends: NDArray[np.int64]
    chosen: NDArray[np.int64]

    def line(self, position: int) -> tuple[int, int]:
        """Return where a line starts and ends in the content."""
        return (int(self.ends[position - 1]) if position else 0), int(self.ends[position])


def blocks(
    file: BinaryIO, header: Sequence[str], user_column: str | None, users: Collection[int]
) -> Iterator[Block]:
    """Return the lines below the header in blocks; chosen are those of ``users``.

    ``file``: read up to the end of the header. ``user_column``: None where user ids are texts. All
    lines of a block are chosen then, and where its users cannot be read surely.
    """
    wanted = np.array(sorted(users), dtype=np.int64)
    row = 2
    while content := file.read(BLOCK_BYTES):
        content += file.readline()
        ends = np.flatnonzero(np.frombuffer(content, dtype=np.uint8) == ord("\n")) + 1
        if not content.endswith(b"\n"):
            ends = np.append(ends, len(content))
        found = None if user_column is None else _users(content, header, user_column)
        if found is None or found.size != ends.size:
            chosen = np.arange(ends.size)
        else:
            chosen = np.flatnonzero(np.isin(found, wanted))
        yield Block(content, row, ends, chosen)
        row += ends.size


def _users(content: bytes, header: Sequence[str], column: str) -> NDArray[np.int64] | None:
    """Return the user of each line; None where another reader may see something else."""
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    if any(odd in content for odd in (b'"', b"\0")):
        return None
    # Without names of their own, columns that are not read may share a name.
    names = [name if name == column else f"{place}" for place, name in enumerate(header)]
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(content),
            read_options=arrow_csv.ReadOptions(column_names=names),
            parse_options=arrow_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types={column: pa.int64()}, include_columns=[column], null_values=[""]
            ),
        )
    except (ValueError, KeyError):
        return None
    if table[column].null_count:
        return None
    users: NDArray[np.int64] = table[column].to_numpy()
    return users
