"""The fast reader and the reader line by line give the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moovier.data.csv_problems import SHOWN_PROBLEMS
from moovier.data.csv_tables import Tables
from moovier.data.schema import OPTIONAL_INT
from moovier.errors import InvalidData

COLUMNS = {"id": np.int64, "stars": np.float32, "link": OPTIONAL_INT}
ANY = pa.DataFrameSchema({})
POSITIVE = pa.DataFrameSchema({"id": pa.Column(np.int64, pa.Check.gt(0, error="is not positive"))})


def write(folder: Path, *lines: str) -> None:
    (folder / "table.csv").write_text("".join(f"{line}\n" for line in ("id,stars,link", *lines)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(2**63) + 1, 2**63 - 1),
            st.integers(1, 10),
            st.none() | st.integers(0, 2**53),
        ),
        min_size=1,
        max_size=10,
    )
)
def test_both_readers_give_the_same_table(
    tmp_path: Path, rows: list[tuple[int, int, int | None]]
) -> None:
    lines = [f"{id_},{halves / 2},{'' if link is None else link}" for id_, halves, link in rows]
    write(tmp_path, *lines)
    fast = Tables(tmp_path, 0.0).read_valid_rows("table.csv", COLUMNS, ANY)
    # The short line sends the whole file to the reader line by line, which leaves it out.
    write(tmp_path, *lines, "1")
    tables = Tables(tmp_path, 0.5)
    slow = tables.read_valid_rows("table.csv", COLUMNS, ANY)
    assert tables.set_aside == [f"table.csv, row {len(lines) + 2}: has 1 fields, the header has 3"]
    assert slow.equals(fast)
    assert fast["id"].tolist() == [id_ for id_, _, _ in rows]
    assert fast["stars"].tolist() == [halves / 2 for _, halves, _ in rows]
    links = [None if pd.isna(link) else link for link in fast["link"]]
    assert links == [link for _, _, link in rows]


def test_rows_that_break_a_rule_are_set_aside_in_file_order(tmp_path: Path) -> None:
    write(tmp_path, "0,1,", "5,1,", "x,1,", "-2,1,", "7,1,")
    tables = Tables(tmp_path, 0.6)
    table = tables.read_valid_rows("table.csv", COLUMNS, POSITIVE)
    assert table["id"].tolist() == [5, 7]
    assert sorted(tables.set_aside) == [
        "table.csv, row 2: id 0 is not positive",
        "table.csv, row 4: id 'x' is not a whole number",
        "table.csv, row 5: id -2 is not positive",
    ]


@pytest.mark.parametrize(("share", "is_valid"), [(0.4, True), (0.39, False)])
def test_share_of_bad_rows_is_a_limit(tmp_path: Path, share: float, is_valid: bool) -> None:
    write(tmp_path, "1,1,", "2,1,", "3,1,", "0,1,", "-1,1,")
    tables = Tables(tmp_path, share)
    if is_valid:
        assert len(tables.read_valid_rows("table.csv", COLUMNS, POSITIVE)) == 3
        return
    with pytest.raises(InvalidData) as caught:
        tables.read_valid_rows("table.csv", COLUMNS, POSITIVE)
    assert len(caught.value.problems) == 2
    assert tables.set_aside == []


def test_error_counts_the_rows_that_it_does_not_list(tmp_path: Path) -> None:
    write(tmp_path, *("0,1," for _ in range(1_000)))
    with pytest.raises(InvalidData) as caught:
        Tables(tmp_path, 0.0).read_valid_rows("table.csv", COLUMNS, POSITIVE)
    assert len(caught.value.problems) == SHOWN_PROBLEMS + 1
    assert caught.value.problems[-1] == f"... and {1_000 - SHOWN_PROBLEMS} more bad rows"
