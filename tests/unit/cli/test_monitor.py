"""`moovier monitor` prints the result of a check, as text or as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from moovier.cli import app
from moovier.jobs import monitor as job

RESULT: dict[str, Any] = {
    "champion": {"name": "moovier_ease_1_trained_0", "version": 3},
    "data": {"name": "sample"},
    "figures": {"drift_stars": 0.12345, "ratings_added": 1234.0},
    "notes": ["the sample is synthetic"],
    "reasons": ["stars: 0.12 above 0.1"],
    "alarm": True,
    "why": "started",
}


def run(monkeypatch: pytest.MonkeyPatch, result: Any, *options: str) -> str:
    def run_check(config: dict[str, Any], *, settings: Any, on_progress: Any) -> Any:
        assert config == {"data": "sample" if "--data" in options else None}
        assert (on_progress is None) == ("--json" in options)
        if on_progress is not None:
            on_progress("reading")
        return result

    monkeypatch.setattr(job, "run_check", run_check)
    done = CliRunner().invoke(app, ["monitor", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_metrics_notes_and_reasons_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = run(monkeypatch, RESULT, "--data", "sample").splitlines()
    assert lines[:2] == ["reading", "moovier_ease_1_trained_0 (version 3) against sample"]
    assert [line.split() for line in lines[2:4]] == [
        ["drift_stars", "0.1235"],
        ["ratings_added", "1,234"],
    ]
    assert [line.strip() for line in lines[4:]] == [
        "the sample is synthetic",
        "stars: 0.12 above 0.1",
        "alarm; retraining: started",
    ]


def test_without_an_alarm_the_last_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = {**RESULT, "alarm": False, "reasons": []}
    assert run(monkeypatch, quiet).splitlines()[-1] == "no alarm"


def test_json_has_everything_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(run(monkeypatch, RESULT, "--json")) == RESULT


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_without_a_champion_the_command_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    assert "there is no champion yet; run `moovier up`" in run(monkeypatch, None, *options)
