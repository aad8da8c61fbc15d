"""`moovier recommend`: print each user's list of movies as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import Model, TopK, parse_id
from moovier.settings import load_settings

_COLUMNS = ("user", "rank", "movie_id", "title", "year", "genres", "imdb_id", "tmdb_id", "score")


def recommend(
    user: Annotated[list[str], typer.Option(help="User id; repeat for several.")],
    top_k: TopK = 10,
    model: Model = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", help="Also write the lists to this CSV file.")
    ] = None,
) -> None:
    """Recommend unrated movies to users, without the service."""
    from moovier.jobs import recommend as job

    users = [parse_id(text) for text in user]
    result = job.recommend(users, top_k, model, settings=load_settings())
    if result["feedback"] is not None:
        typer.echo(
            f"warning: the lists ignore ratings since the training: {result['feedback']}", err=True
        )
    if csv_file is not None:
        _write_csv(csv_file, result["answers"])
    if as_json:
        typer.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        _print(result)


def _write_csv(file: Path, answers: list[dict[str, Any]]) -> None:
    try:
        target = file.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(
            f"cannot write {file} ({error.strerror}); give a file that can be written"
        ) from error
    with target:
        writer = csv.DictWriter(target, _COLUMNS)
        writer.writeheader()
        for answer in answers:
            for rank, item in enumerate(answer["items"], start=1):
                row = {"user": answer["user"], "rank": rank, "movie_id": item["id"]}
                row |= {name: item[name] for name in _COLUMNS if name in item}
                writer.writerow(row | {"genres": "|".join(item["genres"])})


def _print(result: dict[str, Any]) -> None:
    from rich.table import Table

    console = plain_console(soft_wrap=False)
    console.print(f"model {result['model']}, version {result['version']}")
    if result["synthetic"]:
        console.print("SYNTHETIC ratings: the users are generated, not real", style="yellow")
    for answer in result["answers"]:
        unknown = "" if answer["source"] == "model" else " is unknown; showing popular movies"
        console.print(f"\nuser {answer['user']}{unknown}", style="bold")
        width = min(console.width, 100)
        table = Table(box=None, pad_edge=False, show_header=False, width=width)
        # Rank and year are never cut; titles and genres share the rest of the width.
        table.add_column(justify="right", min_width=len(str(len(answer["items"]))))
        table.add_column(ratio=3, overflow="ellipsis", no_wrap=True)
        table.add_column(min_width=4)
        table.add_column(ratio=2, overflow="ellipsis", no_wrap=True, style="dim")
        for rank, item in enumerate(answer["items"], start=1):
            year = "" if item["year"] is None else str(item["year"])
            table.add_row(str(rank), item["title"], year, ", ".join(item["genres"]))
        console.print(table)
