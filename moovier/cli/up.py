"""`moovier up`, `moovier down` and `moovier serve`: start and stop the stack."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from moovier.errors import StackError
from moovier.settings import PREFIX, Settings, load_settings
from moovier.stack.console import Report

_WATCH_S = 2.0


def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return when the stack is ready; it keeps running.")
    ] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground", help="Run until Ctrl-C, even without a terminal.")
    ] = False,
) -> None:
    """Start MLflow, Airflow and the service; train a first model if there is none.

    In a terminal the command runs until Ctrl-C, which stops everything. Without
    a terminal (scripts, CI), or with --detach, it returns when the stack is
    ready. `moovier down` stops the stack.
    """
    from moovier.stack import lifecycle
    from moovier.stack.startup_summary import show

    if detach and foreground:
        raise typer.BadParameter("--detach and --foreground exclude each other; give one of them")
    settings = load_settings()
    console = Console(emoji=False)
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
    """Stop the stack of `moovier up`, from any folder; delete no data."""
    from moovier.stack import lifecycle

    report = Report(Console(emoji=False))
    if not lifecycle.down(load_settings(), report):
        report.line("nothing is running")


def serve() -> None:
    """Run only the service, in the foreground.

    The service needs MLflow, or a model in its cache.
    """
    from moovier.stack.services import service_command

    settings = load_settings()
    command = service_command(settings)
    # The service starts in the project's folder, where relative paths would name other folders.
    os.environ[f"{PREFIX}HOME"] = str(settings.path())
    os.environ[f"{PREFIX}PROJECT"] = str(settings.project.absolute())
    os.chdir(settings.project)
    os.execv(command[0], command)


def env() -> None:
    """Print the variables with which the tools' own commands reach the stack.

    Usage: eval "$(moovier env)". Then `airflow`, `mlflow`, `bentoml` and `dvc`
    are those of this installation and work on this stack. The variables hold
    Airflow's secrets.
    """
    from moovier.stack.environment import shell_environment

    variables = shell_environment(load_settings())
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    programs = shlex.quote(str(Path(sys.executable).parent))
    typer.echo(f'export PATH={programs}:"$PATH"')


def _stay(settings: Settings, report: Report) -> None:
    """Wait for Ctrl-C, which stops the stack, or for the end of the stack."""
    from moovier.stack import lifecycle

    report.line("Ctrl-C stops everything.")
    reported: set[str] = set()
    try:
        while lifecycle.is_up(settings):
            for text in lifecycle.failed_processes(settings):
                if text not in reported:
                    reported.add(text)
                    report.failed(text)
            time.sleep(_WATCH_S)
        report.line("the stack was stopped by another command")
    except KeyboardInterrupt:
        _stop(settings, report)


def _stop(settings: Settings, report: Report) -> None:
    """Stop the stack; ignore a second Ctrl-C, which would leave processes running."""
    from moovier.stack import lifecycle

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lifecycle.down(settings, report)


def _interrupt_on_end_of_session() -> None:
    """Let SIGTERM and a closed terminal end the command as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    # A shell starts background jobs with SIGINT ignored, so it is set here too.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
