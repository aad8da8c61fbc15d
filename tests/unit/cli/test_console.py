"""The commands print names and paths as they are, in text and in tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.table import Table

from moovier.cli.console import plain_console

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("text", ["name [old]", "[/b]", "[red]x", ":cat:", "[link=x]y", "\\[a]"])
def test_text_is_printed_as_it_is(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    console = plain_console(soft_wrap=False)
    console.print(text, style="bold")
    table = Table(text)
    table.add_row(text)
    console.print(table)
    plain_console().print(f"in {text}")
    assert capsys.readouterr().out.count(text) == 4


def test_every_command_and_benchmark_uses_this_console() -> None:
    files = [*(ROOT / "moovier" / "cli").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    # `moovier up` prints with markup, through a report that escapes each text.
    allowed = {"console.py", "up.py"}
    assert {file.name for file in files if " Console(" in file.read_text()} <= allowed
