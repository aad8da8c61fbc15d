"""`moovier data pull | status | validate | use DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from moovier.data.sources import DataRef
    from moovier.data.summary import Summary

_BAR_WIDTH = 50

data_app = typer.Typer(
    help="The ratings: bring them here, look at them, check them, choose them.",
    no_args_is_help=True,
)


@data_app.command()
def pull() -> None:
    """Bring the chosen data set here: DVC remote, else GroupLens, else (auto) the sample."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from moovier.data.sources import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("GroupLens", visible=False)

        def progress(arrived: int, total: int | None) -> None:
            bar.update(task, completed=arrived, total=total, visible=True)

        found = fetch(load_settings(), progress)
    _show_ref(_console(), found)


@data_app.command()
def status() -> None:
    """Show which data set is chosen, where it comes from, and what is in it."""
    from moovier.data.sources import status as look

    console, found = _console(), look(load_settings())
    if found.ref is None or found.summary is None:
        console.print(f"chosen    {found.choice}\nnot here yet: run `moovier data pull`")
        return
    _show_ref(console, found.ref, found.choice)
    _show_summary(console, found.summary)


@data_app.command()
def validate(
    folder: Annotated[
        Path | None, typer.Argument(help="A folder in MovieLens layout; else the chosen data set.")
    ] = None,
) -> None:
    """Check every row; each problem is named by file, row (1 is the header) and reason."""
    from moovier.data.movielens import read_movielens
    from moovier.data.sources import fetch

    settings, console = load_settings(), _console()
    folder = folder or fetch(settings).folder
    data = read_movielens(folder, bad_rows_share=settings.bad_rows_share)
    console.print(
        f"{folder}: valid, {len(data.ratings):,} ratings of {len(data.movies):,} movies",
    )
    for problem in data.set_aside:
        console.print(f"  set aside: {problem}", markup=False)


@data_app.command()
def use(
    choice: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="A folder in MovieLens layout, or ml-latest-small, sample, auto."
        ),
    ],
) -> None:
    """Choose the data set for every later run; a folder is checked first."""
    from moovier.data.sources import AUTO
    from moovier.data.sources import use as record

    settings, console = load_settings(), _console()
    chosen = record(settings, choice)
    console.print(f"the next retraining uses {chosen}")
    if settings.data != AUTO:
        console.print(
            f"but MOOVIER_DATA={settings.data} is set, and wins until it is unset", style="yellow"
        )


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def _show_ref(console: Console, ref: DataRef, choice: str | None = None) -> None:
    chosen = f" (chosen: {choice})" if choice not in (None, ref.name) else ""
    console.print(f"data      {ref.name}{chosen}", style="bold", markup=False)
    if ref.synthetic:
        told = ref.note or "SYNTHETIC ratings: generated, not real people's"
        console.print(told, style="bold yellow", markup=False)
    for name, value in (("source", ref.source), ("folder", ref.folder), ("hash", ref.hash)):
        console.print(f"{name:<10}{value}", markup=False)
    if ref.note and not ref.synthetic:
        console.print(f"{'note':<10}{ref.note}", markup=False)


def _show_summary(console: Console, summary: Summary) -> None:
    console.print(
        f"ratings   {summary.ratings:,}, {summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}, "
        f"mean {summary.mean_stars:.2f} stars\n"
        f"people    {summary.users:,}\n"
        f"movies    {summary.movies:,}, of which {summary.rated_movies:,} rated\n"
        f"sparsity  {summary.sparsity:.2%} of people x rated movies is empty"
    )
    if summary.set_aside:
        console.print(f"set aside {summary.set_aside:,} bad rows", style="yellow")
    most = max(summary.histogram.values())
    for stars, count in summary.histogram.items():
        bar = "█" * round(_BAR_WIDTH * count / most)
        console.print(f"  {stars:.1f} {bar:<{_BAR_WIDTH}} {count:>12,}")
