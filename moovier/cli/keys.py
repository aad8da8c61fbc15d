"""`moovier keys make NAME --scope SCOPE | list | revoke NAME`: manage API keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.cli.console import plain_console
from moovier.settings import load_settings

if TYPE_CHECKING:
    from moovier.feedback.api_keys import KeyStore

keys_app = typer.Typer(help="Manage the API keys of the service.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Name of the key's owner.")]


class Scope(StrEnum):
    """The scopes of a key; copied from `moovier.feedback.api_keys`, which imports slowly."""

    WRITE = "write"
    TRAIN = "train"
    MOVIES = "movies"


@keys_app.command()
def make(
    name: Name,
    scope: Annotated[
        list[Scope],
        typer.Option(help="write: ratings; train: fine-tuning; movies: new movies. Repeatable."),
    ],
) -> None:
    """Make a key and print it once; only its hash is stored."""
    with _keys() as keys:
        typer.echo(keys.make(name, frozenset(entry.value for entry in scope)))
    typer.echo("Store it now: it cannot be shown again.", err=True)


@keys_app.command("list")
def show() -> None:
    """List the keys by name, scopes and dates, without the keys themselves."""
    from rich.table import Table

    with _keys() as keys:
        stored = keys.list()
    if not stored:
        typer.echo("no API keys yet; make one with `moovier keys make NAME --scope write`")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "scopes", "made", "revoked"):
        table.add_column(heading, overflow="fold")
    for key in stored:
        table.add_row(
            key.name,
            ", ".join(sorted(key.scopes)),
            f"{key.created:%Y-%m-%d %H:%M}",
            "" if key.revoked is None else f"{key.revoked:%Y-%m-%d %H:%M}",
            style="dim" if key.revoked else None,
        )
    plain_console(soft_wrap=False).print(table)


@keys_app.command()
def revoke(name: Name) -> None:
    """Revoke a key at once; the service needs no restart."""
    with _keys() as keys:
        keys.revoke(name)
    typer.echo(f"revoked: {name}")


@contextlib.contextmanager
def _keys() -> Iterator[KeyStore]:
    from moovier.feedback.api_keys import KeyStore

    with contextlib.closing(KeyStore.open(load_settings().database)) as keys:
        yield keys
