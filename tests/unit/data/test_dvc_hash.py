"""The directory hash equals DVC's."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash


def test_hash_equals_that_of_dvc(tmp_path: Path) -> None:
    """The expected hash comes from `dvc add` of these files with DVC 3.67."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.csv").write_text("b\n")
    (tmp_path / "sub" / "a.csv").write_text("a\n")
    (tmp_path / "é.csv").write_text("")
    assert directory_hash(tmp_path) == "f2c1885f470666ec4a2b77a177c26694.dir"


def test_hash_depends_on_names_and_bytes(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"1")
    hashes = [directory_hash(tmp_path)]
    file.write_bytes(b"2")
    hashes.append(directory_hash(tmp_path))
    file.rename(tmp_path / "b")
    hashes.append(directory_hash(tmp_path))
    assert len(set(hashes)) == 3


@pytest.mark.real_data
def test_hash_of_ml_latest_small(real_data: Path) -> None:
    assert directory_hash(real_data) == "7a07225112ccf8cdc73da1f2d56610d0.dir"
