"""Print progress to a terminal: permanent lines, and one status line with a spinner."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Report:
    """A progress report on ``console``; without a terminal it has no status line."""

    def __init__(self, console: Console) -> None:
        """Print to ``console``."""
        self._console = console
        self._status: Status | None = None

    def line(self, text: str) -> None:
        """Print a line."""
        self._console.print(escape(text), highlight=False, soft_wrap=True)

    def done(self, text: str, seconds: float | None = None) -> None:
        """Print a successful step, with its duration if known."""
        took = f" [dim]({seconds:.0f} s)[/dim]" if seconds is not None else ""
        self._console.print(f"[green]✓[/green] {escape(text)}{took}", highlight=False)

    def failed(self, text: str) -> None:
        """Print a failed step."""
        self._console.print(f"[red]✗[/red] {escape(text)}", highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, doing: str, done: str) -> Iterator[None]:
        """Show ``doing`` while the block runs, then print ``done`` with the duration."""
        start = time.monotonic()
        self.awaiting(doing)
        try:
            yield
        finally:
            self.awaiting(None)
        self.done(done, time.monotonic() - start)

    def awaiting(self, text: str | None) -> None:
        """Show ``text`` on the status line; None clears the line."""
        if not self._console.is_terminal:
            return
        if text is None:
            if self._status is not None:
                self._status.stop()
                self._status = None
        elif self._status is None:
            self._status = self._console.status(escape(text))
            self._status.start()
        else:
            self._status.update(escape(text))
