"""Options that several commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

Data = Annotated[
    str | None,
    typer.Option(
        help="`ml-latest-small`, `sample`, or a folder in MovieLens layout. Default: the chosen "
        "data set."
    ),
]
Model = Annotated[
    str | None, typer.Option(help="Name, alias or version number. Default: the champion.")
]
TopK = Annotated[int, typer.Option(help="Movies for each user, 1 to 1,000.")]


def parse_id(text: str) -> int | str:
    """Return an id as a number, or as it is where it is no number.

    Raises:
        BadParameter: it is a number below 1.
    """
    if re.fullmatch("[1-9][0-9]*", text):
        return int(text)
    if re.fullmatch("-?[0-9]+", text) and int(text) < 1:
        raise typer.BadParameter(f"an id is a number of 1 or more, or a text, not {text}")
    return text
