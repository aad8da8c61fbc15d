"""`moovier batch`: write the lists of all users to Parquet files."""

from __future__ import annotations

from typing import Annotated

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import Model, TopK
from moovier.jobs.batch_defaults import DEFAULT_SHARDS, DEFAULT_TOP_K
from moovier.settings import load_settings


def batch(
    top_k: TopK = DEFAULT_TOP_K,
    shards: Annotated[
        int, typer.Option(help="Number of files; many users are written in parallel.")
    ] = DEFAULT_SHARDS,
    model: Model = None,
) -> None:
    """Write the top movies of all users to MOOVIER_LISTS, without the service."""
    from moovier.jobs import batch as job

    console = plain_console()
    config = job.configured(top_k=top_k, shards=shards, model=model)
    result = job.batch_all(config, console.print, settings=load_settings())
    console.print(
        f"{result['users']:,} users, {result['rows']:,} rows in {result['url']}", style="bold"
    )
