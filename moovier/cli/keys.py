"""`moovier keys make NAME --scope SCOPE | list | revoke NAME`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.settings import load_settings

if TYPE_CHECKING:
    from moovier.feedback.api_keys import KeyStore

keys_app = typer.Typer(help="API keys: who may give ratings and fine-tune.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="Whose key it is.")]


class Scope(StrEnum):
    """A test compares it with `moovier.feedback.api_keys.SCOPES`, which takes longer to import."""

    WRITE = "write"
    TRAIN = "train"


@keys_app.command()
def make(
    name: Name,
    scope: Annotated[
        list[Scope], typer.Option(help="write: ratings; train: fine-tuning. Repeatable.")
    ],
) -> None:
    """Make a key and print it, once: only its hash is kept."""
    with _keys() as keys:
        typer.echo(keys.make(name, frozenset(one.value for one in scope)))
    typer.echo("Keep it now: it cannot be shown again.", err=True)


@keys_app.command("list")
def show() -> None:
    """List the keys: name, scopes, made, revoked. Never the keys themselves."""
    from rich.console import Console
    from rich.table import Table

    with _keys() as keys:
        found = keys.list()
    if not found:
        typer.echo("there is no key yet; `moovier keys make NAME --scope write` makes one")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in ("name", "scopes", "made", "revoked"):
        table.add_column(heading, overflow="fold")
    for key in found:
        table.add_row(
            key.name,
            ", ".join(sorted(key.scopes)),
            f"{key.created:%Y-%m-%d %H:%M}",
            "" if key.revoked is None else f"{key.revoked:%Y-%m-%d %H:%M}",
            style="dim" if key.revoked else None,
        )
    Console(highlight=False, markup=False).print(table)


@keys_app.command()
def revoke(name: Name) -> None:
    """Refuse a key from now on; the service needs no restart."""
    with _keys() as keys:
        keys.revoke(name)
    typer.echo(f"revoked: {name}")


@contextlib.contextmanager
def _keys() -> Iterator[KeyStore]:
    from moovier.feedback.api_keys import KeyStore

    with contextlib.closing(KeyStore.open(load_settings().database)) as keys:
        yield keys
