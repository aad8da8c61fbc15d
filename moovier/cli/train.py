"""`moovier train` and `moovier tune`: run a retraining in this process, without Airflow."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from moovier.cli.console import plain_console
from moovier.cli.options import Data
from moovier.settings import MAX_EMBEDDING_SIZE, MAX_SEED, MAX_TRIALS, load_settings

Trials = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MAX_TRIALS,
        help="Optuna trials per family. Default: MOOVIER_TRIALS, fewer while there is no champion.",
    ),
]
Families = Annotated[
    list[str] | None,
    typer.Option("--family", help="Model family; repeat for several. Default: all."),
]
Sizes = Annotated[
    list[int] | None,
    typer.Option(
        "--embedding-size",
        min=1,
        max=MAX_EMBEDDING_SIZE,
        help="Size of a default `emb` model; repeat for several.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(min=0, max=MAX_SEED, help="Seed of trainings and studies. Default: MOOVIER_SEED."),
]


def train(
    data: Data = None,
    trials: Trials = None,
    family: Families = None,
    embedding_size: Sizes = None,
    seed: Seed = None,
) -> None:
    """Tune, train, register, compare and promote models; MLflow must run.

    After an interruption the same command continues where it stopped.
    """
    from moovier.jobs.retrain import retrain_all

    quiet_tensorflow()
    console = plain_console()
    decision = retrain_all(
        _config(data, trials, family, embedding_size, seed), console.print, settings=load_settings()
    )
    for reason in decision["reasons"]:
        console.print(f"  {reason}")
    state = "champion" if decision["promote"] else "challenger (not promoted)"
    console.print(f"{state}: {decision['name']} (version {decision['version']})", style="bold")


def tune(
    data: Data = None,
    trials: Trials = None,
    family: Families = None,
    seed: Seed = None,
) -> None:
    """Tune hyper-parameters only; every trial is a run in MLflow.

    `moovier train` with the same options continues from here.
    """
    from moovier.jobs.retrain import tune_all

    quiet_tensorflow()
    tune_all(
        _config(data, trials, family, None, seed), plain_console().print, settings=load_settings()
    )


def quiet_tensorflow() -> None:
    """Hide TensorFlow's messages about the processor; it reads this setting at its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _config(
    data: str | None,
    trials: int | None,
    families: list[str] | None,
    sizes: list[int] | None,
    seed: int | None,
) -> dict[str, object]:
    """Return the options of the command line, without those that keep their defaults."""
    options: dict[str, object] = {
        "data": data,
        "trials": trials,
        "families": families,
        "seed": seed,
        "embedding_sizes": sizes,
        "workers": 1,
    }
    return {name: value for name, value in options.items() if value not in (None, [])}
