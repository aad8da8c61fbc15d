"""`moovier train` and `moovier tune`: a retraining in this process, without Airflow."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from moovier.settings import load_settings

if TYPE_CHECKING:
    from rich.console import Console

Data = Annotated[
    str | None,
    typer.Option(help="`ml-latest-small`, `sample`, or a directory in MovieLens layout."),
]
Trials = Annotated[int | None, typer.Option(min=1, help="Optuna trials per family.")]
Families = Annotated[
    list[str] | None, typer.Option("--family", help="Model family; repeat for several.")
]
Sizes = Annotated[
    list[int] | None,
    typer.Option("--embedding-size", min=1, help="Size of a default `emb` model; repeatable."),
]
Seed = Annotated[int | None, typer.Option(min=0, help="Seed of trainings and studies.")]


def train(
    data: Data = None,
    trials: Trials = None,
    family: Families = None,
    embedding_size: Sizes = None,
    seed: Seed = None,
) -> None:
    """Tune, train, register, compare and promote, here and now; MLflow must be running.

    A run that was killed goes on where it was when it is started again.
    """
    from moovier.jobs.retrain import retrain_all

    _quiet_tensorflow()
    console = _console()
    decision = retrain_all(
        _config(data, trials, family, embedding_size, seed), console.print, settings=load_settings()
    )
    for reason in decision["reasons"]:
        console.print(f"  {reason}")
    state = "champion" if decision["promote"] else "challenger (kept back)"
    console.print(f"{state}: {decision['name']} (version {decision['version']})", style="bold")


def tune(
    data: Data = None,
    trials: Trials = None,
    family: Families = None,
    seed: Seed = None,
) -> None:
    """Search hyper-parameters only; every trial is a run in MLflow.

    `moovier train` with the same options goes on from here.
    """
    from moovier.jobs.retrain import tune_all

    _quiet_tensorflow()
    tune_all(_config(data, trials, family, None, seed), _console().print, settings=load_settings())


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, soft_wrap=True)


def _quiet_tensorflow() -> None:
    """Leave out what TensorFlow says about the processor; errors stay. Read at its import."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def _config(
    data: str | None,
    trials: int | None,
    families: list[str] | None,
    sizes: list[int] | None,
    seed: int | None,
) -> dict[str, object]:
    """What was given on the command line; the rest has its defaults."""
    given: dict[str, object] = {"data": data, "trials": trials, "families": families, "seed": seed}
    given |= {"embedding_sizes": sizes, "workers": 1}
    return {name: value for name, value in given.items() if value not in (None, [])}
