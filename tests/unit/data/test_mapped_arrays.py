from __future__ import annotations

from pathlib import Path

import numpy as np
import psutil
import pytest

from moovier.data import mapped_arrays
from moovier.data.array_files import read_arrays, write_arrays

MB = 2**20


@pytest.mark.parametrize("block", [1, 3, 100])
def test_sums_of_blocks_equal_those_of_the_whole(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_arrays, "BLOCK", block)
    rows, values = np.array([2, 0, 2, 3, 0, 2, 0]), np.array([1, 2, 3, 4, 5, 0.5, 7], np.float32)
    assert mapped_arrays.count(rows, 5).tolist() == [3, 0, 3, 1, 0]
    assert mapped_arrays.add_up(rows, values, 5).tolist() == [14, 0, 4.5, 4, 0]


def test_counting_mapped_rows_leaves_them_out_of_memory(tmp_path: Path) -> None:
    file = tmp_path / "rows.npz"
    write_arrays(file, {"rows": np.arange(16 * MB, dtype=np.int32) % 7})
    rows = read_arrays(file, mapped=True)["rows"]
    before = psutil.Process().memory_info().rss
    assert rows.max() == 6
    assert psutil.Process().memory_info().rss > before + 50 * MB
    mapped_arrays.count(rows, 7)
    assert psutil.Process().memory_info().rss < before + 20 * MB
    assert rows[:8].tolist() == [0, 1, 2, 3, 4, 5, 6, 0]


def test_arrays_in_memory_stay_as_they_are(tmp_path: Path) -> None:
    rows = np.arange(5)
    rows.setflags(write=False)
    mapped_arrays.release(rows, np.zeros(3))
    assert rows.tolist() == [0, 1, 2, 3, 4]
    copied = np.memmap(tmp_path / "file", np.int64, "w+", shape=(3,))
    copied[:] = 4
    mapped_arrays.release(copied)
    assert copied.tolist() == [4, 4, 4]
