"""The generated ratings and the bars of ``make bench-scale``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import report
from benchmarks.scale import Row, _earlier_rows, _run, _write, exponents, missed
from benchmarks.scale_data import write_ratings
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import hold_out_users
from moovier.evaluation import visitor
from moovier.models.families import family
from moovier.models.family import FitContext


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ratings(tmp_path_factory.mktemp("scale") / "data", 30_000)


def test_generated_ratings_are_valid_and_have_the_wanted_number(folder: Path) -> None:
    data = read_movielens(folder)
    assert data.synthetic
    assert len(data.ratings) == pytest.approx(30_000, rel=0.3)


def test_same_seed_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = write_ratings(tmp_path / "again", 30_000)
    for name in ("ratings.csv", "movies.csv"):
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_tastes_can_be_learnt(folder: Path) -> None:
    _, ratings, catalogue = to_arrays(read_movielens(folder))
    kept, held_out = hold_out_users(ratings, seed=0)
    visitors = visitor.draw_visitors(held_out, moment=0)
    ndcg = {}
    for name in ("popular", "ease"):
        kind = family(name)
        fitted = kind.fit(
            kept, kind.hyper_parameters.model_validate({}), FitContext(catalogue, 0, epochs=1)
        )
        counts = kept.histories.movie_counts()
        result = visitor.evaluate(kind.scorer(fitted.arrays), visitors, counts)
        assert result is not None
        ndcg[name] = float(np.nanmean(result.ndcg[:, -1]))
    assert ndcg["ease"] > 1.15 * ndcg["popular"]


def test_slow_large_and_superlinear_stages_miss_their_bars() -> None:
    rows = [
        Row(1_000_000, "retrain", 100.0, 1.0),
        Row(25_000_000, "retrain", 3000.0, 9.0),
        Row(25_000_000, "ingest", 59.0, 2.0),
    ]
    assert exponents(rows)["retrain_seconds"] == pytest.approx(np.log(30) / np.log(25))
    assert missed(rows) == [
        "25,000,000 retrain took 3000 s, not 600",
        "25,000,000 retrain took 9.0 GB",
    ]
    assert missed([*rows, Row(25_000_000, "retrain", 9e6, 1.0)])[-1].startswith("retrain_seconds")


def test_rows_of_other_sizes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "OUT", tmp_path)
    assert _earlier_rows("processes", [5]) == []
    rows = [Row(5, "retrain", 100.0, 1.0), Row(9, "retrain", 120.0, 1.0, 90.0, 3.5)]
    _write("processes", None, rows)
    assert _earlier_rows("processes", [5]) == rows[1:]
    assert _earlier_rows("airflow", [5]) == []


def test_processor_time_is_that_of_the_commands(tmp_path: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    idle = "import time\ntime.sleep(0.3)"
    rows = [
        _run([[sys.executable, "-S", "-c", code]], os.environ, 5, "ingest", tmp_path / "log")
        for code in (busy, idle)
    ]
    spent = [row.processor_s for row in rows]
    assert spent[0] is not None
    assert spent[1] is not None
    assert spent[0] >= 0.3 > spent[1]
    assert all(row.seconds >= 0.3 for row in rows)
