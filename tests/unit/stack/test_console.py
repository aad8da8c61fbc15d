"""Progress on a terminal and in a log."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from moovier.stack.console import Report


def report(*, terminal: bool = False) -> tuple[Report, io.StringIO]:
    output = io.StringIO()
    return Report(Console(file=output, force_terminal=terminal, width=60)), output


def test_lines_are_printed_as_they_are_however_long() -> None:
    progress, output = report()
    text = "http://127.0.0.1:8000/[a]?x=[bold]" + "y" * 80
    progress.line(text)
    progress.failed(f"[red]{text}")
    assert output.getvalue() == f"{text}\n✗ [red]{text}\n"


@pytest.mark.parametrize(
    ("seconds", "line"),
    [(None, "✓ up [red]\n"), (0.4, "✓ up [red] (0 s)\n"), (61.6, "✓ up [red] (62 s)\n")],
)
def test_a_finished_step_has_its_duration_if_known(seconds: float | None, line: str) -> None:
    progress, output = report()
    progress.done("up [red]", seconds)
    assert output.getvalue() == line


def test_a_step_is_printed_when_it_ends() -> None:
    progress, output = report()
    with progress.step("starting", "started"):
        assert output.getvalue() == "", "no status line without a terminal"
    assert output.getvalue() == "✓ started (0 s)\n"


def test_a_step_that_fails_is_not_done() -> None:
    progress, output = report()
    with pytest.raises(ZeroDivisionError), progress.step("starting", "started"):
        raise ZeroDivisionError
    assert output.getvalue() == ""


def test_a_terminal_has_one_status_line_that_is_cleared() -> None:
    progress, _ = report(terminal=True)
    progress.awaiting("first [x]")
    assert progress._status is not None
    status = progress._status
    assert status.status == r"first \[x]", "brackets are no style"
    progress.awaiting("second")
    assert progress._status is status
    assert status.status == "second"
    progress.awaiting(None)
    progress.awaiting(None)
    assert progress._status is None


def test_a_step_clears_the_status_line_of_a_terminal_if_it_fails() -> None:
    progress, _ = report(terminal=True)
    with pytest.raises(ZeroDivisionError), progress.step("starting", "started"):
        raise ZeroDivisionError
    assert progress._status is None
