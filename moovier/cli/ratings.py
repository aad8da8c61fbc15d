"""`moovier ratings import FILE --user ID`: ratings from other services."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import parse_id
from moovier.settings import load_settings

if TYPE_CHECKING:
    from moovier.serving.rating_import import Imported, MatchedEntry

_SHOWN = 20

ratings_app = typer.Typer(help="Import ratings from other services.", no_args_is_help=True)


@ratings_app.callback()
def ratings() -> None:
    """Keep the name `import`: Typer drops the name of a group's only command."""


@ratings_app.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            help="Letterboxd (CSV or zip), IMDb, TMDB, Trakt, MovieLens, or CSV with the columns "
            "title, year and rating."
        ),
    ],
    user: Annotated[str, typer.Option(help="User id that the ratings belong to.")],
    dry_run: Annotated[bool, typer.Option(help="Show the matches and store nothing.")] = False,
) -> None:
    """Store one person's ratings from a file; a second time changes nothing."""
    from rich.progress import Progress

    from moovier.jobs.import_ratings import import_ratings

    with Progress(transient=True) as bar:
        task = bar.add_task("matching titles", total=None)

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        result = import_ratings(
            file, parse_id(user), dry_run=dry_run, settings=load_settings(), on_progress=progress
        )
    _show(result, dry_run=dry_run)


def _show(result: Imported, *, dry_run: bool) -> None:
    console, file = plain_console(), result.file
    unsure = [item for item in file.entries if not item.match.is_sure]
    console.print(f"{file.source}: {len(file.entries):,} movies", style="bold")
    would = "would be " if dry_run else ""
    console.print(
        f"  {result.stored:,} ratings {would}stored, {result.unchanged:,} stored before, "
        f"{result.ignored:,} older than the stored ones"
    )
    console.print(f"  {len(file.seen):,} seen without a rating, {file.skipped:,} lines skipped")
    if unsure:
        console.print(f"  {len(unsure):,} not matched:", style="yellow")
    for item in unsure[:_SHOWN]:
        console.print(f"    line {item.entry.line}: {_described(item)}")
    if len(unsure) > _SHOWN:
        console.print(f"    and {len(unsure) - _SHOWN:,} more")


def _described(item: MatchedEntry) -> str:
    entry = item.entry
    text = entry.title + (f" ({entry.year})" if entry.year else "")
    if item.movie is None:
        return f"{text}: not in the catalogue"
    return f"{text}: perhaps {item.movie.title} ({item.movie.year}, id {item.movie.id})"
