from __future__ import annotations

from pathlib import Path

import pytest

from moovier.json_files import read_json, write_json


def test_json_file_is_written_atomically(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "x.json"
    assert read_json(file) is None
    write_json(file, {"a": 1})
    assert read_json(file) == {"a": 1}
    with pytest.raises(TypeError):
        write_json(file, {"a": object()})
    assert read_json(file) == {"a": 1}
    assert [path.name for path in file.parent.iterdir()] == ["x.json"]
