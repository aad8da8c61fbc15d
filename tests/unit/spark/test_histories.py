"""Text ids are refused before a cluster is asked."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from moovier.errors import InvalidData
from moovier.spark import histories
from moovier.spark.shared_folder import SharedFolder


def no_cluster() -> AbstractContextManager[Any]:
    raise AssertionError("the cluster was asked")


def test_text_ids_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "ratings.csv").write_text("userId,movieId,rating,timestamp\nanna,1,4.0,964982703\n")
    (folder / "movies.csv").write_text("movieId,title,genres\n1,Toy Story (1995),Animation\n")
    target = SharedFolder(str(tmp_path / "parts"))
    with pytest.raises(InvalidData, match=r"ids are texts.* set MOOVIER_ENGINE=local"):
        histories.parse(no_cluster, str(folder), target, bad_rows_share=0.0)
