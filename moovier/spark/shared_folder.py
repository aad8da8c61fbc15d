"""Files in a folder or a bucket that the driver and all workers reach."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from moovier.settings import Settings

#: Hadoop's name of S3, and fsspec's.
_HADOOP_S3, _S3 = "s3a://", "s3://"


@dataclass(frozen=True)
class SharedFolder:
    """A folder by its path or URL, such as ``s3://bucket/spark``; ``s3a://`` means the same."""

    url: str

    @classmethod
    def of(cls, settings: Settings) -> SharedFolder:
        """Return the folder of the settings."""
        url = settings.spark_folder or str(settings.path("spark"))
        return cls(url if "://" in url else str(Path(url).expanduser().absolute()))

    @property
    def is_remote(self) -> bool:
        """Whether it is a URL, which every machine reaches in the same way."""
        return "://" in self.url

    def folder(self, *parts: str) -> SharedFolder:
        """Return a folder within this one."""
        return SharedFolder("/".join([self.url.rstrip("/"), *parts]))

    def read(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            FileNotFoundError: there is none.
        """
        files, root = self._open()
        # Another process may have written it since.
        files.invalidate_cache()
        return bytes(files.cat_file(f"{root}/{name}"))

    def size(self, name: str) -> int:
        """Return the length of a file in bytes.

        Raises:
            FileNotFoundError: there is none.
        """
        files, root = self._open()
        return int(files.info(f"{root}/{name}")["size"])

    def exists(self, name: str) -> bool:
        """Return whether there is a file of this name."""
        files, root = self._open()
        files.invalidate_cache()
        return bool(files.exists(f"{root}/{name}"))

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[Any]:
        """Yield a file to read and to seek in."""
        files, root = self._open()
        with files.open(f"{root}/{name}", "rb") as file:
            yield file

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Any]:
        """Yield a file to write; it exists, or replaces an older one, only if all was written."""
        files, root = self._open()
        target = f"{root}/{name}"
        if not isinstance(files, LocalFileSystem):
            # An upload appears when it is closed.
            with files.open(target, "wb") as file:
                yield file
            return
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            with temporary.open("wb") as file:
                yield file
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder with all that is in it, if it exists."""
        files, root = self._open()
        files.invalidate_cache()
        if files.exists(root):
            files.rm(root, recursive=True)

    def _open(self) -> tuple[Any, str]:
        files, root = fsspec.core.url_to_fs(self.url.replace(_HADOOP_S3, _S3, 1))
        return files, str(root).rstrip("/")
