"""Blocks of a file of ratings, each of which one task reads and checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from moovier.data import foreign_files, parquet_files, schema
from moovier.data.csv_problems import unusable
from moovier.data.csv_tables import (
    CheckedLines,
    check_lines,
    check_table,
    check_text,
    cut_off,
    not_utf8,
    read_header,
)
from moovier.data.movielens import RATINGS
from moovier.data.parquet_files import PARQUET
from moovier.data.ratings import Ints
from moovier.errors import InvalidData
from moovier.spark.shared_folder import SharedFolder

#: Bytes of one block of a CSV file.
BLOCK_BYTES = 1 << 25


@dataclass(frozen=True)
class Block:
    """A block after its check.

    ``n_lines``: its lines, also empty ones. ``checked``: its rows; None if it cannot be used.
    ``unusable``: the line, from 0, and the reason why the whole file cannot be used, or None.
    """

    n_lines: int
    checked: CheckedLines | None
    unusable: tuple[int, str, str] | None = None


@dataclass(frozen=True)
class CsvBlocks:
    """The blocks of ``ratings.csv`` in a folder.

    ``header``: the names of its columns. ``starts``: (count,) the byte at or before the first line
    of each block. ``size``: of the file, in bytes. ``movies``: ids of all movies. ``keep_all``:
    whether all problems are returned, or only those that an error shows.
    """

    source: SharedFolder
    header: list[str]
    starts: tuple[int, ...]
    size: int
    movies: Ints
    keep_all: bool

    @classmethod
    def of(cls, source: SharedFolder, head: Path, movies: Ints, *, keep_all: bool) -> CsvBlocks:
        """Return the blocks; ``head``: a local file that starts with the same header.

        Raises:
            InvalidData: the file is missing, or its header cannot be used.
        """
        if not source.exists(RATINGS):
            raise unusable(foreign_files.missing(head))
        size = source.size(RATINGS)
        with source.reading(RATINGS) as file:
            first_line = bytes(file.readline())
        if size == len(first_line):
            check_text(head)
        try:
            first_line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise unusable(not_utf8(RATINGS, 1, error.reason, first_line[:4])) from error
        header = read_header(head, schema.RATING_COLUMNS)
        starts = tuple(range(len(first_line), size, BLOCK_BYTES))
        return cls(source, header, starts, size, movies, keep_all)

    @property
    def count(self) -> int:
        """The number of blocks."""
        return len(self.starts)

    def check(self, number: int) -> Block:
        """Read and check one block."""
        content = self._lines(number)
        n_lines = content.count(b"\n") + (not content.endswith(b"\n") and bool(content))
        try:
            checked = check_lines(
                content,
                self.header,
                schema.RATING_COLUMNS,
                schema.ratings_schema(pd.Series(self.movies)),
                keep_all=self.keep_all,
            )
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n")
            return Block(n_lines, None, (line, "utf8", error.reason))
        if content and not content.endswith(b"\n"):
            return Block(n_lines, checked, (n_lines - 1, "cut", ""))
        return Block(n_lines, checked)

    def raise_unusable(self, blocks: Sequence[Any]) -> None:
        """Raise the first reason of a block why the whole file cannot be used.

        Raises:
            InvalidData: there is one.
        """
        row = 2
        for block in blocks:
            if block["unusable"] is not None:
                line, kind, reason = block["unusable"]
                if kind == "cut":
                    raise unusable(cut_off(RATINGS, row + line))
                with self.source.reading(RATINGS) as file:
                    raise unusable(not_utf8(RATINGS, row + line, reason, file.read(4)))
            row += block["lines"]

    def _lines(self, number: int) -> bytes:
        """Return the lines that start in a block."""
        start = self.starts[number]
        end = self.starts[number + 1] if number + 1 < self.count else self.size
        with self.source.reading(RATINGS) as file:
            # The line that starts in the block before, if it ends in this one, belongs to that.
            file.seek(start - 1)
            file.readline()
            start = file.tell()
            if start >= end:
                return b""
            content = bytes(file.read(end - start))
            return content if content.endswith(b"\n") else content + bytes(file.readline())


@dataclass(frozen=True)
class ParquetBlocks:
    """The row groups of ``ratings.parquet`` in a folder; the fields are as in CsvBlocks."""

    source: SharedFolder
    count: int
    movies: Ints
    keep_all: bool

    @classmethod
    def of(cls, source: SharedFolder, movies: Ints, *, keep_all: bool) -> ParquetBlocks:
        """Return the blocks.

        Raises:
            InvalidData: the file cannot be read, or lacks a column.
        """
        with source.reading(PARQUET) as file:
            count = parquet_files.open_ratings(file).num_row_groups
        return cls(source, count, movies, keep_all)

    def check(self, number: int) -> Block:
        """Read and check one row group."""
        with self.source.reading(PARQUET) as file:
            try:
                table = parquet_files.read_row_group(parquet_files.open_ratings(file), number)
            except InvalidData as error:
                return Block(0, None, (0, "parquet", str(error.problems[0])))
        frame = table.to_pandas().astype({"rating": np.float32})
        rules = schema.ratings_schema(pd.Series(self.movies))
        return Block(len(frame), check_table(frame, rules, keep_all=self.keep_all))

    def raise_unusable(self, blocks: Sequence[Any]) -> None:
        """Raise the first reason of a row group why the whole file cannot be used.

        Raises:
            InvalidData: there is one.
        """
        for block in blocks:
            if block["unusable"] is not None:
                raise unusable(block["unusable"][2])
