"""`moovier experiment start [MODEL] | status | decide | stop`: test a challenger."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from moovier.cli.console import plain_console

experiment_app = typer.Typer(
    help="Compare a challenger with the champion on a share of the users.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@experiment_app.command()
def start(
    model: Annotated[
        str | None, typer.Argument(help="Name, alias or version number. Default: the challenger.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the users that it serves, such as 0.1.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Compute lists a second time without showing them.")
    ] = False,
    window_h: Annotated[
        float, typer.Option(help="Hours after a user's first list in which ratings count.")
    ] = 72.0,
    alpha: Annotated[
        float, typer.Option(help="Chance of a wrong decision if both models are equally good.")
    ] = 0.05,
) -> None:
    """Start an experiment with a challenger; the service follows within seconds."""
    from moovier.jobs import experiment

    _print(experiment.start(model, share=share, shadow=shadow, window_h=window_h, alpha=alpha))


@experiment_app.command()
def status(as_json: AsJson = False) -> None:
    """Show the comparison so far; reading it often does not bias the result."""
    from moovier.jobs import experiment

    result = experiment.status()
    if as_json:
        typer.echo(json.dumps(result, indent=2))
    else:
        _print(result)


@experiment_app.command()
def decide(as_json: AsJson = False) -> None:
    """Promote or withdraw the challenger if the evidence is sufficient."""
    from moovier.jobs import experiment

    _print_end(experiment.decide(), as_json)


@experiment_app.command()
def stop(
    reason: Annotated[str | None, typer.Option(help="Reason, stored on the version.")] = None,
    as_json: AsJson = False,
) -> None:
    """Stop the experiment; the champion serves all users again."""
    from moovier.jobs import experiment

    _print_end(experiment.stop(reason), as_json)


def _print_end(ending: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(ending, indent=2))
        return
    console = plain_console(soft_wrap=False)
    console.print(ending["decision"], style="bold")
    for reason in ending["reasons"]:
        console.print(reason)


def _print(result: dict[str, Any]) -> None:
    console = plain_console(soft_wrap=False)
    if not result["running"]:
        console.print("no experiment is running")
        if (last := result["last"]) is not None:
            model = f"{last['name']} (version {last['version']})"
            console.print(f"last experiment: {last['id']} on {model}, {last['decision']}")
            for reason in last["reasons"]:
                console.print(reason)
        return
    started = datetime.fromtimestamp(result["started_at"], UTC)
    console.print(
        f"experiment {result['id']}: {result['mode']} of {result['share']:.1%} since "
        f"{started:%Y-%m-%d %H:%M} UTC",
        style="bold",
    )
    console.print(_arms(result) if "arms" in result else _models(result))
    for line in result["says"]:
        console.print(line)


def _arms(result: dict[str, Any]) -> Table:
    table = _table("", "model", "users", "waiting", "liked", "stars")
    for name, arm in result["arms"].items():
        liked = "" if arm["liked_share"] is None else f" ({arm['liked_share']:.1%})"
        table.add_row(
            name,
            _model(result[name]),
            f"{arm['people']:,}",
            f"{arm['waiting']:,}",
            f"{arm['liked']:,}{liked}",
            "" if arm["mean_stars"] is None else f"{arm['mean_stars']:.2f}",
        )
    return table


def _models(result: dict[str, Any]) -> Table:
    table = _table("", "model", "lists", "liked later")
    shadow = result["shadow"]
    for name in ("champion", "challenger"):
        liked = shadow["liked"][name]
        table.add_row(name, _model(result[name]), f"{shadow['pairs']:,}", f"{liked:,}")
    return table


def _table(*headings: str) -> Table:
    """Return a table that fits 80 columns: one space between columns, long names folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in headings:
        is_text = heading in ("", "model")
        table.add_column(heading, justify="left" if is_text else "right", overflow="fold")
    return table


def _model(model: dict[str, Any]) -> str:
    return f"{model['name']} ({model['version']})"
