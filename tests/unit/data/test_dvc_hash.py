"""Our directory hash is DVC's."""

from __future__ import annotations

from pathlib import Path

import pytest

from moovier.data.dvc_hash import directory_hash


def test_the_list_of_files_that_dvc_keeps(tmp_path: Path) -> None:
    """Worked out with DVC 3.67: `dvc add` of these files."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "b.csv").write_text("b\n")
    (tmp_path / "sub" / "a.csv").write_text("a\n")
    (tmp_path / "é.csv").write_text("")
    assert directory_hash(tmp_path) == "f2c1885f470666ec4a2b77a177c26694.dir"


def test_a_name_and_a_byte_both_count(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"1")
    hashes = [directory_hash(tmp_path)]
    file.write_bytes(b"2")
    hashes.append(directory_hash(tmp_path))
    file.rename(tmp_path / "b")
    hashes.append(directory_hash(tmp_path))
    assert len(set(hashes)) == 3


@pytest.mark.real_data
def test_the_real_set(real_data: Path) -> None:
    assert directory_hash(real_data) == "7a07225112ccf8cdc73da1f2d56610d0.dir"
