"""Checkouts in temporary folders, so that no test touches the developer's data or DVC cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: A DVC remote with the real data lies here on development and CI machines.
REMOTE_BESIDE = ROOT.parent / "shared" / "dvc-remote"


def new_project(folder: Path) -> Path:
    """What a fresh checkout has of DVC: its configuration and the pointers."""
    (folder / ".dvc").mkdir(parents=True)
    (folder / "data").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    for pointer in (ROOT / "data").glob("*.dvc"):
        shutil.copy(pointer, folder / "data" / pointer.name)
    return folder


def real_remote() -> str | None:
    """The DVC remote that holds the real data set, None where there is none."""
    named = os.environ.get("MOOVIER_DVC_REMOTE")
    if named:
        return named
    return str(REMOTE_BESIDE) if REMOTE_BESIDE.is_dir() else None
