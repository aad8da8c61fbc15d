"""DVC projects in temporary folders, apart from the developer's data and DVC cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The place beside the checkout where development and CI machines keep the real data.
REMOTE_BESIDE = ROOT.parent / "shared" / "dvc-remote"


def new_project(folder: Path) -> Path:
    """Copy the DVC configuration and the data pointers into ``folder``, as a fresh clone has."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "data").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    for pointer in (ROOT / "data").glob("*.dvc"):
        shutil.copy(pointer, folder / "data" / pointer.name)
    return folder


def real_remote() -> str | None:
    """Return the DVC remote that holds the real data set, or None without one."""
    if remote := os.environ.get("MOOVIER_DVC_REMOTE"):
        return remote
    return str(REMOTE_BESIDE) if REMOTE_BESIDE.is_dir() else None
