"""The console of the commands: it prints text as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def plain_console(*, soft_wrap: bool = True, stderr: bool = False) -> Console:
    """Return a console without Rich's markup, for text that contains paths or names.

    With markup, the folder ``name [old]`` would be printed as ``name``, ``[/b]`` would raise an
    error, and ``:cat:`` would be printed as an emoji. Styles are given as arguments instead.

    ``soft_wrap`` True leaves long lines to the terminal; False wraps them at the console's width.
    """
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False, highlight=False)
