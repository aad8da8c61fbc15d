"""Folders that are written atomically."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: Age in seconds after which a temporary folder belongs to a killed process.
_STALE_S = 3600.0


@contextlib.contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``folder`` when the block succeeds.

    If the block raises or the process is killed, ``folder`` does not change.
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
    # Renaming onto a folder with content fails, so the old folder is moved away first. Another
    # process may put its folder there in between; the loop then moves that one away too.
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
    """Delete the temporary folders of killed processes."""
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        with contextlib.suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE_S:
                shutil.rmtree(leftover, ignore_errors=True)
