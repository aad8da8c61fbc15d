"""Options that several commands share."""

from __future__ import annotations

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
