"""`moovier stage …`: the stages of `dvc.yaml`, without Airflow."""

from __future__ import annotations

import typer

from moovier.cli.console import plain_console
from moovier.cli.train import quiet_tensorflow
from moovier.settings import load_settings

stage_app = typer.Typer(
    help="Run one stage of dvc.yaml, as `dvc repro` does; MLflow must run.", no_args_is_help=True
)


@stage_app.command()
def ingest() -> None:
    """Fetch, merge and validate the data set."""
    from moovier.jobs import dvc_stages

    dvc_stages.run_ingest(load_settings())


@stage_app.command()
def tune() -> None:
    """Tune the hyper-parameters of each family."""
    from moovier.jobs import dvc_stages

    quiet_tensorflow()
    dvc_stages.run_tune(load_settings(), plain_console().print)


@stage_app.command()
def train() -> None:
    """Train and evaluate the candidates."""
    from moovier.jobs import dvc_stages

    quiet_tensorflow()
    dvc_stages.run_train(load_settings(), plain_console().print)


@stage_app.command()
def evaluate() -> None:
    """Write metrics and plots of the candidates."""
    from moovier.jobs import dvc_stages

    dvc_stages.run_evaluate(load_settings())


@stage_app.command()
def promote() -> None:
    """Register the last result and promote it if it wins; `dvc repro` never does."""
    from moovier.jobs import dvc_stages

    quiet_tensorflow()
    console, decision = plain_console(), dvc_stages.promote(load_settings())
    for reason in decision["reasons"]:
        console.print(f"  {reason}")
    state = "champion" if decision["promote"] else "challenger (not promoted)"
    console.print(f"{state}: {decision['name']} (version {decision['version']})", style="bold")
