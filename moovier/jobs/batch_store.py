"""Store the lists of all users in a folder or a bucket.

A set of lists is a folder of Parquet files that readers see complete or not at all::

    moovier_timeline_60_trained_0-v7/
        part-00000.parquet   user_id, rank (from 1), movie_id, score, model_version
        part-00001.parquet
        _manifest.json       model, version, and the numbers of users and rows of each part
        _SUCCESS             empty; without it, the other files must not be read

Readers of a folder as one table skip files whose name starts with an underscore.

Parts are first written below ``_staging/``. In a file system, a rename replaces the older set of
the same version. A bucket has no rename: there, ``_SUCCESS`` is deleted first and written last.
"""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
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
#: Age at which the parts of an unfinished run are deleted.
_ABANDONED = timedelta(days=2)


def with_texts(schema: pa.Schema, names: Collection[str]) -> pa.Schema:
    """Return a schema with strings in the columns ``names``."""
    return pa.schema(
        [(field.name, pa.string() if field.name in names else field.type) for field in schema]
    )


def new_key(now: datetime | None = None) -> str:
    """Return a new key for the parts of one run; it starts with the time."""
    return f"{(now or datetime.now(UTC)).strftime(_KEY_TIME)}-{uuid.uuid4().hex[:8]}"


def part_name(shard: int) -> str:
    """Return the file name of a shard's part."""
    return f"part-{shard:05d}.parquet"


class BatchStore:
    """Sets of lists in a folder or a bucket.

    Every method raises :class:`ListsError` if the store cannot be read or written.
    """

    def __init__(self, url: str) -> None:
        """Open the store at a folder or a URL such as ``s3://bucket/lists``."""
        self.url = url.rstrip("/")
        with _as_lists_error(self.url):
            self._files, self._root = fsspec.core.url_to_fs(self.url)
        self._is_local = isinstance(self._files, LocalFileSystem)

    @contextlib.contextmanager
    def writing(
        self, key: str, shard: int, columns: pa.Schema = SCHEMA
    ) -> Iterator[pq.ParquetWriter]:
        """Yield a writer of one part; the part exists only after the block has succeeded."""
        folder = self._staging(key)
        part = f"{folder}/{part_name(shard)}"
        # An upload appears when it is closed. A file appears at once, so it is renamed at the end.
        target = f"{folder}/_{part_name(shard)}" if self._is_local else part
        with _as_lists_error(self.url):
            self._files.makedirs(folder, exist_ok=True)
            schema = columns.with_metadata({_KEY: key.encode()})
            with (
                self._files.open(target, "wb") as file,
                pq.ParquetWriter(file, schema, compression="zstd") as writer,
            ):
                yield writer
            if target != part:
                self._files.mv(target, part)

    def rows(self, key: str, shard: int) -> int:
        """Return the number of rows of a part of this run.

        Raises:
            ListsError: the part is missing, incomplete, or of another run.
        """
        part = f"{self._staging(key)}/{part_name(shard)}"
        with _as_lists_error(self.url), self._files.open(part, "rb") as file:
            metadata = pq.read_metadata(file)
        if (metadata.metadata or {}).get(_KEY) != key.encode():
            raise ListsError(f"{part_name(shard)} belongs to another run; write it again")
        return int(metadata.num_rows)

    def schema(self, key: str, shard: int) -> pa.Schema:
        """Return the columns of a part, which are :data:`SCHEMA` or its form with text ids."""
        part = f"{self._staging(key)}/{part_name(shard)}"
        with _as_lists_error(self.url), self._files.open(part, "rb") as file:
            return pq.read_schema(file)

    def manifest(self, name: str) -> dict[str, Any] | None:
        """Return the manifest of the published set ``name``, or None if there is none."""
        folder = f"{self._root}/{name}"
        with _as_lists_error(self.url):
            self._files.invalidate_cache()
            if not self._files.exists(f"{folder}/{SUCCESS}"):
                return None
            manifest: dict[str, Any] = orjson.loads(self._files.cat_file(f"{folder}/{MANIFEST}"))
        return manifest

    def publish(
        self, name: str, key: str, shards: Sequence[int], manifest: Mapping[str, Any]
    ) -> None:
        """Publish the parts of a run as the set ``name``, replacing an earlier one."""
        content = orjson.dumps(manifest, option=orjson.OPT_INDENT_2)
        parts = [part_name(shard) for shard in shards]
        with _as_lists_error(self.url):
            if self._is_local:
                self._swap(name, key, parts, content)
            else:
                self._copy(name, key, parts, content)
            self._remove(self._staging(key))

    def sweep(self, now: datetime | None = None) -> None:
        """Delete the parts of abandoned runs."""
        oldest = ((now or datetime.now(UTC)) - _ABANDONED).strftime(_KEY_TIME)
        staging = f"{self._root}/{STAGING}"
        with _as_lists_error(self.url):
            self._files.invalidate_cache()
            if not self._files.exists(staging):
                return
            for folder in self._files.ls(staging, detail=False):
                if folder.rstrip("/").rpartition("/")[2] < oldest:
                    self._remove(folder)

    def _staging(self, key: str) -> str:
        return f"{self._root}/{STAGING}/{key}"

    def _remove(self, folder: str) -> None:
        if self._is_local:
            shutil.rmtree(folder)
            return
        # One by one: not every S3 server can delete several files in one request.
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
        new = {f"{folder}/{file_name}" for file_name in (*parts, MANIFEST, SUCCESS)}
        for file in old:
            if file not in new:
                self._files.rm_file(file)
        self._files.pipe_file(f"{folder}/{MANIFEST}", content)
        self._files.pipe_file(f"{folder}/{SUCCESS}", b"")


@contextlib.contextmanager
def _as_lists_error(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, pa.ArrowException) as error:
        # A URL may contain a secret, which must not be in the message.
        location = url.partition("?")[0].rpartition("@")[2]
        unavailable = ListsError(f"the lists at {location} cannot be read or written: {error}")
        # An unknown scheme, a missing plugin and a refused login stay as they are.
        unavailable.is_transient = isinstance(error, OSError) and not isinstance(
            error, PermissionError
        )
        raise unavailable from error
