"""`moovier batch`: the lists of all users as Parquet files."""

from __future__ import annotations

from typing import Annotated

import typer

from moovier.settings import load_settings


def batch(
    top_k: Annotated[int, typer.Option(help="Movies for each user, 1 to 1,000.")] = 100,
    shards: Annotated[
        int, typer.Option(help="Files; of many users each is written by a process of its own.")
    ] = 1,
    model: Annotated[
        str | None, typer.Option(help="Name, alias or version number; else the champion.")
    ] = None,
) -> None:
    """Write the best movies of all users to MOOVIER_LISTS; the service need not be running."""
    from rich.console import Console

    from moovier.jobs import batch as job

    console = Console(highlight=False, soft_wrap=True)
    config = job.configured(top_k=top_k, shards=shards, model=model)
    said = job.batch_all(config, console.print, settings=load_settings())
    console.print(f"{said['users']:,} users, {said['rows']:,} rows in {said['url']}", style="bold")
