"""`moovier stage` runs one stage of dvc.yaml and no other."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.jobs import dvc_stages


def run(stage: str) -> str:
    done = CliRunner().invoke(app, ["stage", stage])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("stage", ["ingest", "tune", "train", "evaluate"])
def test_each_command_runs_its_stage(monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    ran: list[str] = []
    for name in ("ingest", "tune", "train", "evaluate"):

        def run_stage(_settings: Any, on_progress: Any = None, name: str = name) -> None:
            ran.append(name)
            if on_progress is not None:
                on_progress("progress")

        monkeypatch.setattr(dvc_stages, f"run_{name}", run_stage)
    assert run(stage) == ("progress\n" if stage in ("tune", "train") else "")
    assert ran == [stage]


@pytest.mark.parametrize(
    ("promoted", "state"), [(True, "champion"), (False, "challenger (not promoted)")]
)
def test_a_promotion_prints_its_reasons(
    monkeypatch: pytest.MonkeyPatch, promoted: bool, state: str
) -> None:
    decision = {"reasons": ["visitor: better"], "promote": promoted, "name": "m", "version": 4}
    monkeypatch.setattr(dvc_stages, "promote", lambda _settings: decision)
    assert run("promote") == f"  visitor: better\n{state}: m (version 4)\n"
