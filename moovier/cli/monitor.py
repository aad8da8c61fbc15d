"""`moovier monitor`: one look at whether the champion still fits, here and now."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from moovier.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console


def monitor(
    data: Annotated[
        str | None,
        typer.Option(help="`ml-latest-small`, `sample`, or a directory in MovieLens layout."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, all figures.")] = False,
) -> None:
    """Compare the data there are now with what the champion was trained on; MLflow must be running.

    Figures and pictures go to MLflow. Nothing is retrained: the DAG `moovier_monitor` does that.
    """
    import json

    from rich.console import Console

    from moovier.jobs.monitor import run_check

    console = Console(highlight=False, markup=False, soft_wrap=True)
    said = run_check(
        {"data": data}, settings=load_settings(), on_progress=_progress(as_json, console)
    )
    if said is None:
        typer.echo("there is no champion to look at yet; `moovier up` or `moovier train` makes one")
    elif as_json:
        typer.echo(json.dumps(said, indent=2))
    else:
        _show(said, console)


def _progress(as_json: bool, console: Console) -> Callable[[str], None] | None:
    return None if as_json else console.print


def _show(said: Mapping[str, Any], console: Console) -> None:
    champion = said["champion"]
    console.print(
        f"{champion['name']} (version {champion['version']}) against {said['data']['name']}"
    )
    for name, value in said["figures"].items():
        console.print(f"  {name:<34}{value:>12,.4g}")
    for note in said["notes"]:
        console.print(f"  {note}")
    for reason in said["reasons"]:
        console.print(f"  {reason}", style="red")
    state = f"alarm; retraining: {said['why']}" if said["alarm"] else "no alarm"
    console.print(state, style="bold")
