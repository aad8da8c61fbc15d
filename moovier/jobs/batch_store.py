"""Where the lists of all users lie: a folder, or a bucket by its URL.

A set of lists is a folder of Parquet files that readers see whole or not at all::

    moovier_timeline_60_trained_0-v7/
        part-00000.parquet   user_id, rank (from 1), movie_id, score, model_version
        part-00001.parquet
        _manifest.json       what it is, how many users and rows, part by part
        _SUCCESS             empty; where it is missing, the rest must not be read

What begins with an underscore is no part to those who read a folder as one table.

Parts are written below ``_staging/`` first. A finished folder takes the place of the older one of
the same version by a rename; a bucket knows none, so ``_SUCCESS`` goes first there and comes last.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fsspec
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from moovier.errors import ListsError
from moovier.registry.atomic_folder import replaced

SCHEMA = pa.schema(
    [
        ("user_id", pa.int64()),
        ("rank", pa.int32()),
        ("movie_id", pa.int64()),
        ("score", pa.float32()),
        ("model_version", pa.int32()),
    ]
)
MANIFEST, SUCCESS, STAGING = "_manifest.json", "_SUCCESS", "_staging"
_KEY, _KEY_TIME = b"moovier_key", "%Y%m%dT%H%M%SZ"
#: Parts of a run that has not finished after this long are nobody's any more.
_ABANDONED = timedelta(days=2)


def new_key(now: datetime | None = None) -> str:
    """A name for the parts of one run, which tells when it began."""
    return f"{(now or datetime.now(UTC)).strftime(_KEY_TIME)}-{uuid.uuid4().hex[:8]}"


def part_name(shard: int) -> str:
    return f"part-{shard:05d}.parquet"


class ListStore:
    """Every method raises :class:`ListsError` where the place cannot be read or written."""

    def __init__(self, url: str) -> None:
        """``url``: a folder, or what fsspec knows, such as ``s3://bucket/lists``."""
        self.url = url.rstrip("/")
        with _as_lists_error(self.url):
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        self._is_local = isinstance(self._files, LocalFileSystem)

    @contextlib.contextmanager
    def writing(self, key: str, shard: int) -> Iterator[pq.ParquetWriter]:
        """A writer of one part, which is there when the block has ended well."""
        folder = self._staging(key)
        part = f"{folder}/{part_name(shard)}"
        # An upload is there as a whole when it is closed; a file has to be renamed for that.
        target = f"{folder}/_{part_name(shard)}" if self._is_local else part
        with _as_lists_error(self.url):
            self._files.makedirs(folder, exist_ok=True)
            schema = SCHEMA.with_metadata({_KEY: key.encode()})
            with (
                self._files.open(target, "wb") as file,
                pq.ParquetWriter(file, schema, compression="zstd") as writer,
            ):
                yield writer
            if target != part:
                self._files.mv(target, part)

    def rows(self, key: str, shard: int) -> int:
        """How many a part of this run has.

        Raises:
            ListsError: it is not there, not whole, or another run's.
        """
        part = f"{self._staging(key)}/{part_name(shard)}"
        with _as_lists_error(self.url), self._files.open(part, "rb") as file:
            found = pq.read_metadata(file)
        if (found.metadata or {}).get(_KEY) != key.encode():
            raise ListsError(f"{part_name(shard)} is another run's")
        return int(found.num_rows)

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Of the finished set ``name``; None where there is none."""
        folder = f"{self._root}/{name}"
        with _as_lists_error(self.url):
            self._files.invalidate_cache()
            if not self._files.exists(f"{folder}/{SUCCESS}"):
                return None
            said: dict[str, Any] = orjson.loads(self._files.cat_file(f"{folder}/{MANIFEST}"))
        return said

    def publish(self, name: str, key: str, shards: Sequence[int], said: Mapping[str, Any]) -> None:
        """Make the parts of a run the set ``name``, in place of the one that is there."""
        content = orjson.dumps(said, option=orjson.OPT_INDENT_2)
        parts = [part_name(shard) for shard in shards]
        with _as_lists_error(self.url):
            if self._is_local:
                self._swap(name, key, parts, content)
            else:
                self._copy(name, key, parts, content)
            self._remove(self._staging(key))

    def sweep(self, now: datetime | None = None) -> None:
        """Delete what runs left behind that were given up."""
        oldest = ((now or datetime.now(UTC)) - _ABANDONED).strftime(_KEY_TIME)
        staging = f"{self._root}/{STAGING}"
        with _as_lists_error(self.url):
            self._files.invalidate_cache()
            if not self._files.exists(staging):
                return
            for left in self._files.ls(staging, detail=False):
                if left.rstrip("/").rpartition("/")[2] < oldest:
                    self._remove(left)

    def _staging(self, key: str) -> str:
        return f"{self._root}/{STAGING}/{key}"

    def _remove(self, folder: str) -> None:
        if self._is_local:
            shutil.rmtree(folder)
            return
        # One by one: not every store that speaks S3 deletes several at once.
        for file in self._files.find(folder):
            self._files.rm_file(file)

    def _swap(self, name: str, key: str, parts: Sequence[str], content: bytes) -> None:
        with replaced(Path(self._root) / name) as folder:
            for part in parts:
                shutil.copyfile(Path(self._staging(key)) / part, folder / part)
            (folder / MANIFEST).write_bytes(content)
            (folder / SUCCESS).touch()

    def _copy(self, name: str, key: str, parts: Sequence[str], content: bytes) -> None:
        folder = f"{self._root}/{name}"
        self._files.invalidate_cache()
        old = self._files.ls(folder, detail=False) if self._files.exists(folder) else []
        if f"{folder}/{SUCCESS}" in old:
            self._files.rm_file(f"{folder}/{SUCCESS}")
        for part in parts:
            self._files.cp_file(f"{self._staging(key)}/{part}", f"{folder}/{part}")
        kept = {f"{folder}/{one}" for one in (*parts, MANIFEST, SUCCESS)}
        for one in old:
            if one not in kept:
                self._files.rm_file(one)
        self._files.pipe_file(f"{folder}/{MANIFEST}", content)
        self._files.pipe_file(f"{folder}/{SUCCESS}", b"")


@contextlib.contextmanager
def _as_lists_error(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, pa.ArrowException) as error:
        # A URL may hold a key; what went wrong does not need it.
        place = url.partition("?")[0].rpartition("@")[2]
        raise ListsError(f"the lists at {place} cannot be read or written: {error}") from error
