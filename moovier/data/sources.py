"""Fetch the chosen data set: ml-latest-small, the synthetic sample, or a folder.

ml-latest-small comes from the workspace, the DVC remote or GroupLens, in this order. With the
choice ``auto``, the synthetic sample replaces it where it is unavailable, with a note. It does not
where real ratings were used before, or where MOOVIER_DVC_REMOTE names a remote: then the real data
are expected, and the sample would replace them unnoticed.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from moovier.data import columns, dvc_remote, event_files, grouplens, parquet_files
from moovier.data.dvc_hash import directory_hash
from moovier.data.dvc_remote import Pointer
from moovier.data.foreign_files import describe_file
from moovier.data.grouplens import Progress
from moovier.data.movielens import SYNTHETIC_MARK, own_folder_hash, read_movielens
from moovier.data.summary import Summary
from moovier.data.synthetic import write_sample
from moovier.errors import DataError, DataUnavailable, UnknownData
from moovier.json_files import read_json, write_json
from moovier.settings import Settings

REAL, SAMPLE, AUTO = "ml-latest-small", "sample", "auto"

Source = Literal["cache", "remote", "grouplens", "sample", "directory"]


@dataclass(frozen=True)
class DataRef:
    """A data set on this machine.

    ``hash``: its DVC directory hash; of a person's own folder, the hash of the files that are read.
    ``note``: a remark for the user, or empty.
    """

    name: str
    folder: Path
    hash: str
    synthetic: bool
    source: Source
    note: str = ""


@dataclass(frozen=True)
class DataStatus:
    """The choice of a data set; ``ref`` and ``summary`` are None until it was fetched."""

    choice: str
    ref: DataRef | None
    summary: Summary | None


def fetch(settings: Settings, progress: Progress | None = None) -> DataRef:
    """Fetch the chosen data set, unless it is on this machine already.

    Raises:
        UnknownData: the choice is neither a known name nor a folder.
        DataUnavailable: no source has it; the message lists the sources.
        HashMismatch: a source has other bytes than the committed pointer names.
    """
    choice = chosen(settings)
    if choice == SAMPLE:
        return _sample(settings, "SYNTHETIC ratings: the users are generated, not real")
    if choice not in (REAL, AUTO):
        reference = _directory(Path(choice), settings)
        if not reference.synthetic:
            _write_record(settings, had_real=True)
        return reference
    try:
        reference = _real(settings, progress)
    except DataUnavailable as error:
        if choice == REAL:
            raise
        if (obstacle := _obstacle_to_sample(settings)) is not None:
            refused = DataUnavailable(f"{error}. `auto` does not use the sample: {obstacle}")
            refused.is_transient = error.is_transient
            raise refused from error
        return _sample(
            settings,
            "SYNTHETIC ratings: the users are generated, not real. The real data set is "
            f"unavailable: {error}",
        )
    _write_record(settings, had_real=True)
    return reference


def _obstacle_to_sample(settings: Settings) -> str | None:
    """Return why `auto` may not use the sample, or None if it may."""
    if settings.dvc_remote is not None:
        return "MOOVIER_DVC_REMOTE names a source of real ratings"
    if _record(settings).get("had_real"):
        return "real ratings were used here before"
    return None


def chosen(settings: Settings) -> str:
    """Return the chosen data set: ``ml-latest-small``, ``sample``, ``auto`` or a folder.

    It is the setting, or else the choice that :func:`use` recorded.
    """
    if settings.data != AUTO:
        return settings.data
    return str(_record(settings).get("data", AUTO))


def check_choice(settings: Settings) -> None:
    """Check that the chosen data set is a known name or an existing folder; fetch nothing.

    Raises:
        UnknownData: it is neither.
    """
    choice = chosen(settings)
    if choice not in (REAL, SAMPLE, AUTO):
        _existing(Path(choice))


def use(settings: Settings, choice: str) -> str:
    """Record ``choice`` for all later runs in this home, and return it; validate a folder first.

    A folder is recorded as an absolute path.

    Raises:
        UnknownData: the choice is neither a known name nor a folder.
        InvalidData: the folder is invalid.
    """
    if choice not in (REAL, SAMPLE, AUTO):
        reference = _directory(Path(choice), settings)
        choice = str(_existing(Path(choice)))
        # The ingest that follows finds the columns and parses nothing.
        columns.parsed(
            reference.folder,
            reference.hash,
            settings,
            name=reference.name,
            synthetic=reference.synthetic,
        )
        if not reference.synthetic:
            _write_record(settings, had_real=True)
    _write_record(settings, data=choice)
    return choice


def status(settings: Settings) -> DataStatus:
    """Return the chosen data set and its summary, without downloading anything.

    Raises:
        InvalidData: the data set is on this machine and invalid.
    """
    choice = chosen(settings)
    if choice in (REAL, AUTO):
        pointer = dvc_remote.read_pointer(settings.project, REAL)
        reference = _reference(pointer) if pointer.is_met() else None
        has_sample = choice == AUTO and _sample_folder(settings).is_dir()
        if reference is None and has_sample and _obstacle_to_sample(settings) is None:
            reference = fetch(settings.model_copy(update={"data": SAMPLE}))
    else:
        reference = fetch(settings)
    if reference is None:
        return DataStatus(choice, None, None)
    data = read_movielens(
        reference.folder, bad_rows_share=settings.bad_rows_share, name=reference.name
    )
    return DataStatus(choice, reference, Summary.of(data))


def _real(settings: Settings, progress: Progress | None) -> DataRef:
    pointer = dvc_remote.read_pointer(settings.project, REAL)
    if pointer.is_met():
        return _reference(pointer)
    try:
        dvc_remote.pull(pointer, settings)
        return _reference(pointer, "remote")
    except DataUnavailable as error:
        remote_error = error
    try:
        return _from_grouplens(pointer, settings, progress)
    except DataUnavailable as error:
        unavailable = DataUnavailable(
            f"{REAL} cannot be fetched, neither from the DVC remote ({remote_error}) nor from "
            f"GroupLens ({error}). Set MOOVIER_DVC_REMOTE to a remote that has it, or use the "
            "synthetic sample (MOOVIER_DATA=sample) or your own folder (`moovier data use DIR`)"
        )
        # A person who named the remote has to correct it; GroupLens is only a substitute.
        unavailable.is_transient = settings.dvc_remote is None or remote_error.is_transient
        raise unavailable from error


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
        return _reference(
            pointer, "grouplens", f"downloaded, but not kept in the DVC remote: {error}"
        )
    return _reference(pointer, "grouplens", "downloaded from GroupLens and kept in the DVC remote")


def _reference(pointer: Pointer, source: Source = "cache", note: str = "") -> DataRef:
    return DataRef(pointer.name, pointer.folder, pointer.hash, False, source, note)


def _directory(path: Path, settings: Settings) -> DataRef:
    folder, note = converted(_existing(path), settings)
    synthetic = (folder / SYNTHETIC_MARK).exists()
    hash_ = own_folder_hash(folder)
    return DataRef(folder.name, folder, hash_, synthetic, "directory", note)


def converted(folder: Path, settings: Settings) -> tuple[Path, str]:
    """Return a folder with ``ratings.csv`` for one with events or Parquet, and a note.

    Raises:
        InvalidData: the events or the Parquet file are invalid.
    """
    if event_files.has_events_only(folder):
        return event_files.ratings_of_events(folder, settings)
    if parquet_files.has_parquet_only(folder):
        return parquet_files.ratings_of_parquet(folder, settings), ""
    return folder, ""


def _existing(path: Path) -> Path:
    folder = path.expanduser().absolute()
    if folder.is_file():
        raise UnknownData(describe_file(folder))
    if not folder.is_dir():
        raise UnknownData(
            f"unknown data set {str(path)!r}: give {REAL}, {SAMPLE}, {AUTO}, or an existing folder "
            "in MovieLens layout"
        )
    return folder


def _sample(settings: Settings, note: str) -> DataRef:
    """Generate the sample; keep an existing one with the same bytes."""
    folder = _sample_folder(settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="sample-", dir=folder.parent) as scratch:
        generated = write_sample(Path(scratch) / SAMPLE)
        hash_ = directory_hash(generated)
        if not folder.is_dir() or directory_hash(folder) != hash_:
            if folder.is_dir():
                folder.rename(Path(scratch) / "outdated")
            generated.rename(folder)
    return DataRef(SAMPLE, folder, hash_, True, "sample", note)


def _sample_folder(settings: Settings) -> Path:
    return settings.path("data", SAMPLE)


def _record_file(settings: Settings) -> Path:
    return settings.path("data.json")


def _record(settings: Settings) -> dict[str, object]:
    """Read the record of this home; it is empty where no file exists.

    ``data``: the choice of :func:`use`. ``had_real``: real ratings were used before.

    Raises:
        DataError: the file cannot be read.
    """
    file = _record_file(settings)
    try:
        record = read_json(file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{file} cannot be read ({error}): delete it, then choose the data set again"
        ) from error
    if record is None:
        return {}
    if not isinstance(record, dict):
        raise DataError(
            f"{file} does not hold a JSON object: delete it, then choose the data set again"
        )
    return record


def _write_record(settings: Settings, **changes: object) -> None:
    record = _record(settings)
    if record | changes == record:
        return
    write_json(_record_file(settings), record | changes)
