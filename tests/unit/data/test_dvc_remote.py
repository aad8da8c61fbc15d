"""Folders are exchanged with a DVC remote; what the remote holds is verified."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from moovier.data import dvc_remote, sources
from moovier.data.dvc_hash import directory_hash
from moovier.errors import DataError, DataUnavailable, HashMismatch
from moovier.settings import Settings
from tests.dvc_checkout import ROOT


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return tmp_path / "remote"


@pytest.fixture
def settings(settings: Settings, remote: Path) -> Settings:
    return settings.model_copy(update={"dvc_remote": str(remote)})


def store(remote: Path, content: bytes, suffix: str = "") -> str:
    """Store content in the remote under its MD5, as DVC does, and return the MD5."""
    md5 = hashlib.md5(content).hexdigest()
    file = remote / "files" / "md5" / md5[:2] / f"{md5[2:]}{suffix}"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return md5


def test_uploaded_folder_is_downloaded_unchanged(
    settings: Settings, folder: Path, remote: Path, tmp_path: Path
) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "é.txt").write_text("é")
    hash_ = directory_hash(folder)
    assert dvc_remote.upload(folder, hash_, settings) == str(remote)
    target = tmp_path / "target"
    target.mkdir()
    (target / "old.csv").write_text("replaced as a whole")
    dvc_remote.download(hash_, target, settings)
    assert directory_hash(target) == hash_
    assert not (target / "old.csv").exists()
    assert (target / "deep" / "é.txt").read_text() == "é"


def test_second_upload_writes_no_file(settings: Settings, folder: Path, remote: Path) -> None:
    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in remote.rglob("*") if path.is_file()}

    dvc_remote.upload(folder, directory_hash(folder), settings)
    before = times()
    assert len(before) == 4, "three files and the folder's index"
    dvc_remote.upload(folder, directory_hash(folder), settings)
    assert times() == before


def test_upload_refuses_another_hash(settings: Settings, folder: Path, remote: Path) -> None:
    with pytest.raises(HashMismatch, match=directory_hash(folder)):
        dvc_remote.upload(folder, "0" * 32 + ".dir", settings)
    assert not list(remote.rglob("*.dir"))


def test_download_of_an_unknown_hash_leaves_the_folder(settings: Settings, folder: Path) -> None:
    before = directory_hash(folder)
    with pytest.raises(DataUnavailable, match="does not have"):
        dvc_remote.download("0" * 32 + ".dir", folder, settings)
    assert directory_hash(folder) == before
    assert [path.name for path in folder.parent.iterdir() if path.name.startswith(".mine")] == []


def test_download_of_damaged_files_leaves_the_folder(
    settings: Settings, folder: Path, remote: Path, tmp_path: Path
) -> None:
    hash_ = directory_hash(folder)
    dvc_remote.upload(folder, hash_, settings)
    for file in remote.rglob("*"):
        if file.is_file() and file.suffix != ".dir":
            file.chmod(0o644)
            file.write_text("damaged")
    target = tmp_path / "target"
    with pytest.raises(HashMismatch, match="is damaged"):
        dvc_remote.download(hash_, target, settings)
    assert not target.exists()


@pytest.mark.parametrize("path", ["../../../outside", "deep/../../../../outside"])
def test_index_with_paths_outside_the_folder_is_refused(
    settings: Settings, remote: Path, tmp_path: Path, path: str
) -> None:
    file_md5 = store(remote, b"bytes")
    index = json.dumps([{"md5": file_md5, "relpath": path}]).encode()
    hash_ = store(remote, index, ".dir") + ".dir"
    target = tmp_path / "deep" / "target"
    with pytest.raises(HashMismatch, match="outside the folder"):
        dvc_remote.download(hash_, target, settings)
    assert not target.exists()
    assert not (tmp_path / "outside").exists()


def test_missing_remote_is_reported(settings: Settings, folder: Path) -> None:
    (settings.project / ".dvc" / "config").write_text("")
    settings = settings.model_copy(update={"dvc_remote": None})
    with pytest.raises(DataUnavailable, match="MOOVIER_DVC_REMOTE"):
        dvc_remote.upload(folder, directory_hash(folder), settings)
    with pytest.raises(DataUnavailable, match="MOOVIER_DVC_REMOTE"):
        dvc_remote.download(directory_hash(folder), folder, settings)
    with pytest.raises(DataUnavailable, match="MOOVIER_DVC_REMOTE"):
        dvc_remote.pull(dvc_remote.read_pointer(settings.project, sources.REAL), settings)


def test_pointer_is_met_by_the_same_bytes_only(settings: Settings, folder: Path) -> None:
    pointer = dvc_remote.read_pointer(settings.project, sources.REAL)
    assert pointer.folder == settings.project / "data" / sources.REAL
    assert not pointer.is_met()
    pointer.folder.mkdir()
    for file in folder.iterdir():
        (pointer.folder / file.name).write_bytes(file.read_bytes())
    assert pointer.is_met()
    (pointer.folder / "ratings.csv").write_text("edited")
    assert not pointer.is_met()


@pytest.mark.parametrize("text", ["", "outs: []\n", "outs: 3", "outs:\n- md5: [\n"])
def test_invalid_pointer_is_refused(settings: Settings, text: str) -> None:
    (settings.project / "data" / "ml-latest-small.dvc").write_text(text)
    with pytest.raises(DataError, match="not a DVC pointer"):
        sources.fetch(settings)


def test_committed_pointer_names_ml_latest_small() -> None:
    pointer = dvc_remote.read_pointer(ROOT, sources.REAL)
    assert (pointer.hash, pointer.size) == ("7a07225112ccf8cdc73da1f2d56610d0.dir", 3_303_135)
