"""`moovier monitor`: compare the current data with those that the champion was trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import Data
from moovier.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console


def monitor(
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON with all metrics.")] = False,
) -> None:
    """Compare the current data with the champion's training data; MLflow must run.

    Metrics and plots go to MLflow. The command starts no retraining; the DAG
    `moovier_monitor` does.
    """
    import json

    from moovier.jobs.monitor import run_check

    console = plain_console()
    result = run_check(
        {"data": data}, settings=load_settings(), on_progress=_progress(as_json, console)
    )
    if result is None:
        typer.echo("there is no champion yet; run `moovier up` or `moovier train`")
    elif as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _show(result, console)


def _progress(as_json: bool, console: Console) -> Callable[[str], None] | None:
    return None if as_json else console.print


def _show(result: Mapping[str, Any], console: Console) -> None:
    champion = result["champion"]
    console.print(
        f"{champion['name']} (version {champion['version']}) against {result['data']['name']}"
    )
    for name, value in result["figures"].items():
        console.print(f"  {name:<34}{value:>12,.4g}")
    for note in result["notes"]:
        console.print(f"  {note}")
    for reason in result["reasons"]:
        console.print(f"  {reason}", style="red")
    state = f"alarm; retraining: {result['why']}" if result["alarm"] else "no alarm"
    console.print(state, style="bold")
