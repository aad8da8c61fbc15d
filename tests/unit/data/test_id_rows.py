from __future__ import annotations

import numpy as np
import pytest

from moovier.data import id_rows
from moovier.data.id_rows import SortedIds
from moovier.data.ratings import Ints


@pytest.mark.parametrize("ids", [[3, 5, 9], [9, 3, 5], []])
def test_ids_have_their_positions(ids: list[int]) -> None:
    found = SortedIds(np.array(ids, dtype=np.int64))
    assert [found.get(one) for one in ids] == list(range(len(ids)))
    assert [found.get(one) for one in (0, 4, 10, 2**70, -1)] == [None] * 5
    assert found.get(4, -1) == -1


def test_many_ids_make_no_dictionary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(id_rows, "LARGE", 3)
    few: Ints = np.array([7, 2])
    assert isinstance(id_rows.id_rows(few), dict)
    many = id_rows.id_rows(np.array([7, 2, 4]))
    assert isinstance(many, SortedIds)
    assert [many.get(one) for one in (7, 2, 4, 5)] == [0, 1, 2, None]
