"""Where the ratings come from: the workspace, the DVC remote, GroupLens, a folder, the generator.

The real set is looked for in that order. Where it cannot be had and nobody insisted on it, the
generated sample stands in, and says so.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moovier.data import dvc_remote, grouplens
from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import Pointer
from moovier.data.grouplens import Progress
from moovier.data.movielens import SYNTHETIC_MARK, read_movielens
from moovier.data.summary import Summary
from moovier.data.synthetic import write_sample
from moovier.errors import DataError, DataUnavailable
from moovier.settings import Settings

REAL, SAMPLE, AUTO = "ml-latest-small", "sample", "auto"

Source = Literal["cache", "remote", "grouplens", "sample", "directory"]


@dataclass(frozen=True)
class DataRef:
    """A data set that lies ready on this machine.

    ``hash``: its DVC directory hash. ``note``: what a person should know about it, or empty.
    """

    name: str
    folder: Path
    hash: str
    synthetic: bool
    source: Source
    note: str = ""


@dataclass(frozen=True)
class DataStatus:
    """What is chosen, and what of it is here; ``ref`` and ``summary`` are None until it is."""

    choice: str
    ref: DataRef | None
    summary: Summary | None


def fetch(settings: Settings, progress: Progress | None = None) -> DataRef:
    """Bring the chosen data set to this machine; quick when it is already here.

    Raises:
        DataUnavailable: it cannot be had; the message lists what was tried.
        HashMismatch: what arrived are not the bytes that the committed pointer names.
    """
    choice = chosen(settings)
    if choice == SAMPLE:
        return _sample(settings, "SYNTHETIC ratings, generated: not real people's")
    if choice not in (REAL, AUTO):
        return _directory(Path(choice))
    try:
        found = _real(settings, progress)
    except DataUnavailable as error:
        if choice == REAL or _record(settings).get("had_real"):
            # Never replace real people's ratings by invented ones behind somebody's back.
            raise
        return _sample(
            settings,
            f"SYNTHETIC ratings, generated: the real data set cannot be had. {error}",
        )
    if choice == AUTO:
        _write_record(settings, had_real=True)
    return found


def chosen(settings: Settings) -> str:
    """``ml-latest-small``, ``sample``, ``auto`` or a folder: the setting, else what was recorded
    by ``moovier data use``."""
    if settings.data != AUTO:
        return settings.data
    return str(_record(settings).get("data", AUTO))


def use(settings: Settings, choice: str) -> str:
    """Record ``choice`` for every later run in this home; a folder is checked first.

    Returns what was recorded, a folder as an absolute path.

    Raises:
        DataUnavailable: no such name or folder.
        InvalidData: the folder must not be used.
    """
    if choice not in (REAL, SAMPLE, AUTO):
        choice = str(_existing(Path(choice)))
        read_movielens(Path(choice), bad_rows_share=settings.bad_rows_share)
    _write_record(settings, data=choice)
    return choice


def status(settings: Settings) -> DataStatus:
    """What is chosen and what of it is here; downloads nothing.

    Raises:
        InvalidData: it is here and must not be used.
    """
    choice = chosen(settings)
    if choice in (REAL, AUTO):
        pointer = dvc_remote.read_pointer(settings.project, REAL)
        here = _here(pointer) if pointer.is_met() else None
        if here is None and choice == AUTO and _sample_folder(settings).is_dir():
            here = fetch(settings.model_copy(update={"data": SAMPLE}))
    else:
        here = fetch(settings)
    if here is None:
        return DataStatus(choice, None, None)
    data = read_movielens(here.folder, bad_rows_share=settings.bad_rows_share, name=here.name)
    return DataStatus(choice, here, Summary.of(data))


def _real(settings: Settings, progress: Progress | None) -> DataRef:
    pointer = dvc_remote.read_pointer(settings.project, REAL)
    if pointer.is_met():
        return _here(pointer)
    try:
        dvc_remote.pull(pointer, settings)
        return _here(pointer, "remote")
    except DataUnavailable as error:
        missing = str(error)
    try:
        return _from_grouplens(pointer, settings, progress)
    except DataUnavailable as error:
        raise DataUnavailable(
            f"{REAL} is neither in the DVC remote ({missing}) nor at GroupLens ({error}). Name a "
            "remote that has it in MOOVIER_DVC_REMOTE, or use the generated sample "
            "(MOOVIER_DATA=sample), or a folder of your own (`moovier data use DIR`)"
        ) from error


def _from_grouplens(pointer: Pointer, settings: Settings, progress: Progress | None) -> DataRef:
    folder = grouplens.download(
        pointer,
        settings.grouplens_url,
        settings.path("downloads"),
        timeout_s=settings.download_timeout_s,
        progress=progress,
    )
    try:
        dvc_remote.commit(pointer, folder, settings)
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    try:
        dvc_remote.push(pointer, settings)
    except DataUnavailable as error:
        return _here(pointer, "grouplens", f"downloaded, but not kept in the DVC remote: {error}")
    return _here(pointer, "grouplens", "downloaded from GroupLens and kept in the DVC remote")


def _here(pointer: Pointer, source: Source = "cache", note: str = "") -> DataRef:
    return DataRef(pointer.name, pointer.folder, pointer.hash, False, source, note)


def _directory(path: Path) -> DataRef:
    folder = _existing(path)
    synthetic = (folder / SYNTHETIC_MARK).exists()
    return DataRef(folder.name, folder, directory_hash(folder), synthetic, "directory")


def _existing(path: Path) -> Path:
    folder = path.expanduser().absolute()
    if not folder.is_dir():
        raise DataUnavailable(
            f"there is no data set {str(path)!r}: name {REAL}, {SAMPLE}, {AUTO}, or a folder in "
            "MovieLens layout"
        )
    return folder


def _sample(settings: Settings, note: str) -> DataRef:
    """Generate the sample, or keep the one that is here if its bytes are right."""
    folder = _sample_folder(settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sample-", dir=folder.parent) as scratch:
        fresh = write_sample(Path(scratch) / SAMPLE)
        hash_ = directory_hash(fresh)
        if not folder.is_dir() or directory_hash(folder) != hash_:
            if folder.is_dir():
                folder.rename(Path(scratch) / "outdated")
            fresh.rename(folder)
    return DataRef(SAMPLE, folder, hash_, True, "sample", note)


def _sample_folder(settings: Settings) -> Path:
    return settings.path("data", SAMPLE)


def _record_file(settings: Settings) -> Path:
    return settings.path("data.json")


def _record(settings: Settings) -> dict[str, object]:
    """``data``: what `moovier data use` chose. ``had_real``: the real set was here before."""
    file = _record_file(settings)
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read ({error}); delete it to start afresh") from error
    if not isinstance(record, dict):
        raise DataError(f"{file} holds no JSON object; delete it to start afresh")
    return record


def _write_record(settings: Settings, **changes: object) -> None:
    record = _record(settings)
    if record | changes == record:
        return
    file = _record_file(settings)
    file.parent.mkdir(parents=True, exist_ok=True)
    scratch = file.with_suffix(f".{os.getpid()}")
    scratch.write_text(json.dumps(record | changes, indent=2) + "\n", encoding="utf-8")
    scratch.replace(file)
