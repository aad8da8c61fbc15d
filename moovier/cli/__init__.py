"""The command line. Each command reads the settings, calls one function and prints the result.

Slow imports are inside the commands, so that `moovier --help` answers at once.
"""

from __future__ import annotations

import sys

import typer

from moovier.cli.batch import batch
from moovier.cli.console import plain_console
from moovier.cli.data import data_app
from moovier.cli.evaluate import evaluate
from moovier.cli.experiment import experiment_app
from moovier.cli.keys import keys_app
from moovier.cli.models import promote, rollback, show
from moovier.cli.monitor import monitor
from moovier.cli.movies import movies_app
from moovier.cli.ratings import ratings_app
from moovier.cli.recommend import recommend
from moovier.cli.stage import stage_app
from moovier.cli.train import train, tune
from moovier.cli.up import down, env, serve, up
from moovier.errors import MoovierError
from moovier.project_files import write_project_files
from moovier.settings import load_settings

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def prepare(context: typer.Context) -> None:
    """Movie recommendations that keep themselves up to date."""
    # Help must work with wrong settings and in a folder that cannot be written.
    if context.invoked_subcommand != "down" and "--help" not in sys.argv:
        settings = load_settings()
        write_project_files(settings.project, settings.home)


app.command()(recommend)
app.command()(batch)
app.command()(train)
app.command()(tune)
app.command()(evaluate)
app.command("models")(show)
app.command()(promote)
app.command()(rollback)
app.command()(monitor)
app.command()(serve)
app.command()(up)
app.command()(down)
app.command()(env)
app.add_typer(data_app, name="data")
app.add_typer(keys_app, name="keys")
app.add_typer(experiment_app, name="experiment")
app.add_typer(stage_app, name="stage")
app.add_typer(ratings_app, name="ratings")
app.add_typer(movies_app, name="movies")


def main() -> None:
    """Run the command line; print an expected error as one message and exit with code 1."""
    try:
        app()
    except MoovierError as error:
        plain_console(stderr=True).print(f"error: {error}", style="red")
        sys.exit(1)
