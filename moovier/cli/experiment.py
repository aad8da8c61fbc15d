"""`moovier experiment start [MODEL] | status | decide | stop`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

experiment_app = typer.Typer(
    help="A challenger on a share of the traffic, compared by what people say.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@experiment_app.command()
def start(
    model: Annotated[
        str | None, typer.Argument(help="Name, alias or version number; none: the challenger.")
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Share of the people that it answers, e.g. 0.1.")
    ] = None,
    shadow: Annotated[
        bool, typer.Option("--shadow", help="Make lists a second time that nobody sees.")
    ] = False,
    window_h: Annotated[
        float, typer.Option(help="Hours after a person's first list that count.")
    ] = 72.0,
    alpha: Annotated[
        float, typer.Option(help="Chance of a wrong decision where the two are alike.")
    ] = 0.05,
) -> None:
    """Let a model challenge the champion: the service follows within seconds."""
    from moovier.jobs import experiment

    _print(experiment.start(model, share=share, shadow=shadow, window_h=window_h, alpha=alpha))


@experiment_app.command()
def status(as_json: AsJson = False) -> None:
    """Show how the two compare; look as often as you like."""
    from moovier.jobs import experiment

    stands = experiment.status()
    if as_json:
        typer.echo(json.dumps(stands, indent=2))
    else:
        _print(stands)


@experiment_app.command()
def decide(as_json: AsJson = False) -> None:
    """Promote the challenger or withdraw it, if the evidence is there."""
    from moovier.jobs import experiment

    _print_end(experiment.decide(), as_json)


@experiment_app.command()
def stop(
    reason: Annotated[str | None, typer.Option(help="Why; kept on the version.")] = None,
    as_json: AsJson = False,
) -> None:
    """End the experiment: the champion answers everybody."""
    from moovier.jobs import experiment

    _print_end(experiment.stop(reason), as_json)


def _print_end(ended: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(ended, indent=2))
        return
    console = Console(highlight=False)
    console.print(ended["decision"], style="bold")
    for reason in ended["reasons"]:
        console.print(reason, markup=False)


def _print(stands: dict[str, Any]) -> None:
    console = Console(highlight=False)
    if not stands["running"]:
        console.print("no experiment runs")
        if (last := stands["last"]) is not None:
            model = f"{last['name']} (version {last['version']})"
            console.print(
                f"the last one, {last['id']} on {model}: {last['decision']}", markup=False
            )
            for reason in last["reasons"]:
                console.print(reason, markup=False)
        return
    began = datetime.fromtimestamp(stands["started_at"], UTC)
    console.print(
        f"experiment {stands['id']}: {stands['mode']} of {stands['share']:.1%} since "
        f"{began:%Y-%m-%d %H:%M} UTC",
        style="bold",
        markup=False,
    )
    console.print(_arms(stands) if "arms" in stands else _models(stands))
    for line in stands["says"]:
        console.print(line, markup=False)


def _arms(stands: dict[str, Any]) -> Table:
    table = _table("", "model", "people", "waiting", "liked one", "stars")
    for name, arm in stands["arms"].items():
        liked = "" if arm["liked_share"] is None else f" ({arm['liked_share']:.1%})"
        table.add_row(
            name,
            _model(stands[name]),
            f"{arm['people']:,}",
            f"{arm['waiting']:,}",
            f"{arm['liked']:,}{liked}",
            "" if arm["mean_stars"] is None else f"{arm['mean_stars']:.2f}",
        )
    return table


def _models(stands: dict[str, Any]) -> Table:
    table = _table("", "model", "lists", "liked later")
    shadow = stands["shadow"]
    for name in ("champion", "challenger"):
        liked = shadow["liked"][name]
        table.add_row(name, _model(stands[name]), f"{shadow['pairs']:,}", f"{liked:,}")
    return table


def _table(*headings: str) -> Table:
    """Fits 80 columns: one space between, and long names are folded."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in headings:
        text = heading in ("", "model")
        table.add_column(heading, justify="left" if text else "right", overflow="fold")
    return table


def _model(model: dict[str, Any]) -> str:
    return f"{model['name']} ({model['version']})"
