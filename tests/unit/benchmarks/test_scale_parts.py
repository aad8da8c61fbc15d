"""The parts of a retraining that are measured one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale_data import write_ratings
from benchmarks.scale_parts import Meter, measure
from moovier.training import budget, protocols


def test_parts_are_measured_in_the_order_of_a_retraining(tmp_path: Path) -> None:
    folder, meter = write_ratings(tmp_path / "data", 8_000), Meter()
    measure(meter, folder, tmp_path, ("ease",), threads=1)
    names = [part.name for part in meter.parts]
    assert names[:5] == [
        "read, check, sort, write columns",
        "check and map columns",
        "split",
        "popularity, all windows",
        "popularity, tests",
    ]
    # No sums are shared in small data.
    assert [name for name in names if name.startswith("ease")][:5] == [
        "ease, one trial",
        "ease, tests",
        "ease, final training",
        "ease, store",
        "ease, load",
    ]
    assert names[-2:] == ["monitoring, no change", "monitoring, 1% added"]
    assert all(part.processor_s >= 0 and part.peak_gb > 0 for part in meter.parts)


def test_a_model_of_low_rank_is_measured_without_sums_of_movies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(protocols, "LARGE", 1_000)
    monkeypatch.setattr(budget, "_ELSA_WORK", 1e8)
    folder, meter = write_ratings(tmp_path / "data", 8_000), Meter()
    measure(meter, folder, tmp_path, ("elsa",), threads=1)
    names = [part.name for part in meter.parts]
    assert "elsa, one trial" in names
    assert not any(name.startswith("sums") for name in names)
    assert "elsa was thinned to a rank" in capsys.readouterr().out


def test_a_part_is_measured_by_processor_time() -> None:
    meter = Meter()
    assert meter.run("sum", lambda: sum(range(2_000_000))) == pytest.approx(1_999_999e6)
    (part,) = meter.parts
    assert part.processor_s > 0
