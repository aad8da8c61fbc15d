"""`moovier up`, `moovier down` and `moovier serve`."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from moovier.errors import StackError
from moovier.settings import Settings, load_settings
from moovier.stack.console import Report

_WATCH_S = 2.0


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when ready; everything keeps running.")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Stay until Ctrl-C, also without a terminal.")
    ] = False,
) -> None:
    """Start MLflow, Airflow and the service; retrain first when there is no model yet.

    In a terminal it stays until Ctrl-C, which stops everything. Without one (scripts, CI), or
    with --detach, it returns when all is ready; `moovier down` stops everything.
    """
    from moovier.stack import lifecycle
    from moovier.stack.startup_summary import show

    if detach and foreground:
        raise typer.BadParameter("--detach and --foreground exclude each other")
    settings = load_settings()
    console = Console()
    report = Report(console)
    was_up = lifecycle.is_up(settings)
    stays = foreground or not (detach or was_up or not (sys.stdin.isatty() and sys.stdout.isatty()))
    _interrupt_on_end_of_session()
    try:
        show(lifecycle.up(settings, report), console)
    except KeyboardInterrupt:
        _stop(settings, report)
        raise typer.Exit(130) from None
    except StackError as error:
        report.failed(str(error))
        if not was_up:
            _stop(settings, report)
        raise typer.Exit(1) from error
    if stays:
        _stay(settings, report)


def down() -> None:
    """Stop everything that `moovier up` started, from anywhere; nothing is deleted."""
    from moovier.stack import lifecycle

    report = Report(Console())
    if not lifecycle.down(load_settings(), report):
        report.line("nothing is running")


def serve() -> None:
    """Run the service alone, in the foreground; it needs a registry that answers or a model in
    its cache."""
    from moovier.stack.services import service_command

    settings = load_settings()
    command = service_command(settings)
    os.chdir(settings.project)
    os.execv(command[0], command)


def _stay(settings: Settings, report: Report) -> None:
    """Until Ctrl-C, which stops everything, or until the stack is stopped from elsewhere."""
    from moovier.stack import lifecycle

    report.line("Ctrl-C stops everything.")
    told: set[str] = set()
    try:
        while lifecycle.is_up(settings):
            for text in lifecycle.broken_parts(settings):
                if text not in told:
                    told.add(text)
                    report.failed(text)
            time.sleep(_WATCH_S)
        report.line("stopped from elsewhere")
    except KeyboardInterrupt:
        _stop(settings, report)


def _stop(settings: Settings, report: Report) -> None:
    """Stop everything; an impatient second Ctrl-C must not leave half of it running."""
    from moovier.stack import lifecycle

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifecycle.down(settings, report)


def _interrupt_on_end_of_session() -> None:
    """A closed terminal or a polite kill ends the command as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A shell gives background jobs an ignored SIGINT; without one nobody could stop a start.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
