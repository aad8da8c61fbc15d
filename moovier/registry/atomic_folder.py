"""Folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: A temporary folder older than this belongs to a process that was killed.
_STALE_S = 3600.0


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A temporary folder beside ``folder`` that takes its place when the block ends well.

    What ``folder`` held before is gone then. When the block raises, or the process is killed,
    ``folder`` is as it was.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        _swap(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(temporary: Path, folder: Path) -> None:
    # Renaming over a folder that holds something fails, so the old one steps aside first. Two
    # processes may do this at once: whoever finds the place taken again moves that aside too.
    for _ in range(10):
        with contextlib.suppress(FileNotFoundError):
            aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
            try:
                folder.rename(aside / "old")
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(OSError):
            temporary.rename(folder)
            return
    temporary.rename(folder)


def _sweep(folder: Path) -> None:
    for left in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > _STALE_S:
                shutil.rmtree(left, ignore_errors=True)
