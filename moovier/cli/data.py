"""`moovier data`: the data set of ratings, or of events."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.cli.console import plain_console
from moovier.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

    from moovier.data.sources import DataRef
    from moovier.data.summary import Summary

_BAR_WIDTH = 50

data_app = typer.Typer(
    help="Download, inspect, validate and choose the data set of ratings.",
    no_args_is_help=True,
)


@data_app.command()
def pull() -> None:
    """Download the chosen data set.

    The sources are tried in order: the DVC remote, GroupLens and, for `auto`, the
    generated sample.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    from moovier.data.sources import fetch

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, transient=True) as bar:
        task = bar.add_task("GroupLens", visible=False)

        def progress(received: int, total: int | None) -> None:
            bar.update(task, completed=received, total=total, visible=True)

        ref = fetch(load_settings(), progress)
    _show_ref(plain_console(), ref)


@data_app.command()
def status() -> None:
    """Show the chosen data set, its source and its contents."""
    from moovier.data.sources import status as read_status

    console, state = plain_console(), read_status(load_settings())
    if state.ref is None or state.summary is None:
        console.print(f"chosen    {state.choice}\nnot downloaded yet: run `moovier data pull`")
        return
    _show_ref(console, state.ref, state.choice)
    _show_summary(console, state.summary)


@data_app.command()
def validate(
    folder: Annotated[
        Path | None,
        typer.Argument(help="Folder in MovieLens layout. Default: the chosen data set."),
    ] = None,
) -> None:
    """Validate every row; print file, row (1 is the header) and reason of each problem."""
    from moovier.data.movielens import read_movielens
    from moovier.data.sources import converted, fetch

    settings, console = load_settings(), plain_console()
    folder = folder or fetch(settings).folder
    folder, note = converted(folder, settings)
    if note:
        console.print(note)
    data = read_movielens(folder, bad_rows_share=settings.bad_rows_share)
    console.print(
        f"{folder}: valid, {len(data.ratings):,} ratings of {len(data.movies):,} movies",
    )
    for problem in data.set_aside:
        console.print(f"  set aside: {problem}")


@data_app.command()
def use(
    choice: Annotated[
        str,
        typer.Argument(
            metavar="DIR", help="Folder in MovieLens layout, or ml-latest-small, sample, auto."
        ),
    ],
) -> None:
    """Choose the data set of all later runs; a folder is validated first."""
    from moovier.data.sources import AUTO
    from moovier.data.sources import use as choose

    settings, console = load_settings(), plain_console()
    chosen = choose(settings, choice)
    console.print(f"the next retraining uses {chosen}")
    if settings.data != AUTO:
        console.print(
            f"warning: MOOVIER_DATA={settings.data} is set and overrides this choice; unset it",
            style="yellow",
        )


@data_app.command()
def pointer(
    model: Annotated[str, typer.Argument(help="Name, alias or version number of a model.")],
) -> None:
    """Write a DVC pointer to the data that a model was trained on; `dvc pull` fetches it."""
    from moovier.jobs.data_version import write_pointer

    typer.echo(write_pointer(model, load_settings()))


@data_app.command()
def event_weights(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with `events.csv`.")],
    trials: Annotated[
        int, typer.Option(min=2, max=1000, help="Sets of weights, the current ones first.")
    ] = 40,
) -> None:
    """Try weights of events on the validation part; print the best.

    Nothing is changed: to use the weights, set MOOVIER_EVENT_WEIGHTS. See
    docs/events.md.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from rich.progress import Progress

    from moovier.jobs import event_weight_tuning as job

    console = plain_console()
    with Progress(transient=True, console=plain_console(stderr=True)) as bar:
        task = bar.add_task("Trials", total=trials)

        def progress(number: int, best: float) -> None:
            bar.update(task, completed=number, description=f"Trials, best NDCG@10 {best:.4f}")

        tuned = job.tune(folder, load_settings(), trials=trials, on_trial=progress)
    console.print(
        f"{tuned.trials} trials; NDCG@10 of the next visit of {tuned.users} validation users\n"
        f"current  {tuned.current_ndcg:.4f}  {tuned.current}\n"
        f"best     {tuned.best_ndcg:.4f}  {tuned.best}\n"
        f"gain of the best on the users who did not choose it: {tuned.gain:+.4f} "
        f"(95 % {tuned.low:+.4f} to {tuned.high:+.4f})"
    )
    if tuned.is_better:
        console.print(f"better: set MOOVIER_EVENT_WEIGHTS={tuned.best}")
    else:
        console.print("not surely better: keep the current weights")


def _show_ref(console: Console, ref: DataRef, choice: str | None = None) -> None:
    chosen = f" (chosen: {choice})" if choice not in (None, ref.name) else ""
    console.print(f"data      {ref.name}{chosen}", style="bold")
    if ref.synthetic:
        note = ref.note or "SYNTHETIC ratings: generated, not from real users"
        console.print(note, style="bold yellow")
    for name, value in (("source", ref.source), ("folder", ref.folder), ("hash", ref.hash)):
        console.print(f"{name:<10}{value}")
    if ref.note and not ref.synthetic:
        console.print(f"{'note':<10}{ref.note}")


def _show_summary(console: Console, summary: Summary) -> None:
    console.print(
        f"ratings   {summary.ratings:,}, {summary.first:%Y-%m-%d} to {summary.last:%Y-%m-%d}, "
        f"mean {summary.mean_stars:.2f} stars\n"
        f"users     {summary.users:,}\n"
        f"movies    {summary.movies:,}, of which {summary.rated_movies:,} rated\n"
        f"sparsity  {summary.sparsity:.2%} of the users x rated movies matrix is empty"
    )
    if summary.set_aside:
        console.print(f"set aside {summary.set_aside:,} bad rows", style="yellow")
    most = max(summary.histogram.values())
    for stars, count in summary.histogram.items():
        bar = "█" * round(_BAR_WIDTH * count / most)
        console.print(f"  {stars:.1f} {bar:<{_BAR_WIDTH}} {count:>12,}")
