"""A folder is replaced as a whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from moovier.registry.atomic_folder import replaced


def write(folder: Path, text: str) -> None:
    with replaced(folder) as temporary:
        (temporary / "a").write_text(text)
        (temporary / "b").write_text(text)


def test_folder_is_replaced_with_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "parent" / "model"
    write(folder, "old")
    (folder / "leftover").touch()
    write(folder, "new")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "new", "b": "new"}
    assert list(folder.parent.iterdir()) == [folder]


def test_failed_block_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    write(folder, "old")
    with contextlib.suppress(RuntimeError), replaced(folder) as temporary:
        (temporary / "a").write_text("new")
        raise RuntimeError("the disk is full")
    assert (folder / "a").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_concurrent_writers_never_mix_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write(folder, str(number)), range(40)))
    assert (folder / "a").read_text() == (folder / "b").read_text()
    assert list(tmp_path.iterdir()) == [folder]


def test_temporary_folders_of_killed_processes_are_deleted_after_an_hour(tmp_path: Path) -> None:
    young, old = tmp_path / ".model-young", tmp_path / ".model-old"
    for folder in (young, old):
        folder.mkdir()
    an_hour_ago = time.time() - 3601
    os.utime(old, (an_hour_ago, an_hour_ago))
    write(tmp_path / "model", "new")
    assert (young.exists(), old.exists()) == (True, False)
