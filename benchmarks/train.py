"""``make bench-train``: compare Moovier's training with Keras's plain ``fit`` on NeuMF.

Both train the same architecture (embedding size 10) on the same split of ml-latest-small. The
validation rows are the first tenth of ``default_rng(0).permutation(n)``, with rows in file order.

- *plain*: ``keras.Model.fit`` with the original recipe: batches of 64, Adam with its default rate,
  mean absolute error, until the validation error stops falling;
- *ours*: Moovier's training with its default hyper-parameters. They were chosen on a tenth of the
  training rows, never on these validation rows.

The wall time includes building, compiling, tracing and validating, but not the import of Keras.
Each side first runs on a few rows, to exclude TensorFlow's work at the first training of a process.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.split import random_split
from moovier.models.family import FitContext
from moovier.models.neumf import NeuMFFamily, NeuMFParams, build
from moovier.settings import load_settings
from moovier.training.fit import limit_threads

#: Validation error of the original recipe in stars, and the factor by which Moovier's training must
#: reach it faster.
ORIGINAL_MAE, BAR = 0.668, 8.0
SIZE, PLAIN_BATCH, PATIENCE = 10, 64, 2
_WARM_UP_ROWS = 2000


@dataclass(frozen=True)
class Epoch:
    """An epoch; ``at_s`` are seconds since the start, ``mae`` is the validation error in stars."""

    at_s: float
    mae: float


def main() -> None:
    """Print the table, write ``benchmarks/out/train.json``; exit 1 if the bar is missed."""
    arguments = argparse.ArgumentParser(description="Moovier's training and Keras's plain fit.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--seeds", type=int, default=3, help="runs per side")
    options = arguments.parse_args()
    console = plain_console(soft_wrap=False)
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    train, validation = random_split(ratings, seed=0)
    limit_threads(options.threads)
    synthetic = " (SYNTHETIC ratings: the bar applies to ml-latest-small)"
    console.print(
        f"{reference.name}{synthetic if reference.synthetic else ''}: {len(train):,} training "
        f"ratings, {len(validation):,} validation ratings, {options.threads} threads"
    )
    few = train.take(np.arange(min(_WARM_UP_ROWS, len(train))))
    plain(few, validation, seed=0, max_epochs=1)
    ours(few, validation, catalogue=catalogue, seed=0)
    runs = []
    for seed in range(options.seeds):
        run = {
            "plain": plain(train, validation, seed=seed),
            "ours": ours(train, validation, catalogue=catalogue, seed=seed),
        }
        runs.append(run)
        for side, epochs in run.items():
            first = ", ".join(f"{epoch.mae:.4f} {epoch.at_s:.1f}s" for epoch in epochs[:4])
            console.print(f"seed {seed} {side}: {first}")
    result = summary(runs)
    console.print(table(result))
    file = report.write(
        "train",
        {
            "data": {"name": reference.name, "hash": reference.hash},
            "threads": options.threads,
            "target_mae": ORIGINAL_MAE,
            **result,
            "runs": [
                {side: [asdict(epoch) for epoch in run[side]] for side in run} for run in runs
            ],
        },
    )
    console.print(f"written to {file.relative_to(file.parents[2])}")
    ratio = result["times_faster"]
    if reference.synthetic or (ratio is not None and ratio >= BAR):
        return
    console.print(f"the bar is missed: {BAR:g} times faster to {ORIGINAL_MAE} stars")
    sys.exit(1)


def plain(train: Ratings, validation: Ratings, *, seed: int, max_epochs: int = 30) -> list[Epoch]:
    """Train with ``keras.Model.fit``; return one entry per epoch."""
    import keras

    epochs: list[Epoch] = []

    def record(_epoch: int, logs: Mapping[str, float]) -> None:
        epochs.append(Epoch(time.perf_counter() - started, float(logs["val_loss"])))

    keras.utils.set_random_seed(seed)
    started = time.perf_counter()
    model = build(train.n_users, train.n_movies, NeuMFParams(size=SIZE))
    model.compile("adam", "mean_absolute_error")
    model.fit(
        [train.users, train.movies],
        train.stars,
        batch_size=PLAIN_BATCH,
        epochs=max_epochs,
        validation_data=([validation.users, validation.movies], validation.stars),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=PATIENCE),
            keras.callbacks.LambdaCallback(on_epoch_end=record),
        ],
        verbose=0,
    )
    return epochs


def ours(train: Ratings, validation: Ratings, *, catalogue: Catalogue, seed: int) -> list[Epoch]:
    """Train with the family's own training; return one entry per epoch."""
    epochs: list[Epoch] = []

    def record(_epoch: int, metrics: Mapping[str, float]) -> None:
        epochs.append(Epoch(time.perf_counter() - started, metrics["val_loss"]))

    started = time.perf_counter()
    NeuMFFamily().fit(
        train,
        NeuMFParams(size=SIZE),
        FitContext(catalogue, seed, validation=validation, on_epoch=record),
    )
    return epochs


def summary(runs: Sequence[Mapping[str, Sequence[Epoch]]]) -> dict[str, Any]:
    """Return medians over the runs.

    ``times_faster`` is the ratio of the two ``to_target_s``; None if a side missed the target.
    """
    sides: dict[str, Any] = {}
    for side in ("plain", "ours"):
        best = [min(run[side], key=lambda epoch: epoch.mae) for run in runs]
        first = [
            next((epoch for epoch in run[side] if epoch.mae <= ORIGINAL_MAE), None) for run in runs
        ]
        reached = [epoch.at_s for epoch in first if epoch is not None]
        sides[side] = {
            "to_target_s": statistics.median(reached) if len(reached) == len(runs) else None,
            "best_mae": statistics.median(epoch.mae for epoch in best),
            "to_best_s": statistics.median(epoch.at_s for epoch in best),
        }
    times = [sides[side]["to_target_s"] for side in ("plain", "ours")]
    return {**sides, "times_faster": None if None in times else times[0] / times[1]}


def table(result: Mapping[str, Any]) -> Table:
    """Return the table of both sides."""
    shown = Table(title=f"NeuMF, embedding {SIZE}: time to a validation MAE of {ORIGINAL_MAE}")
    for column in ("training", "seconds to MAE", "best MAE", "seconds to best"):
        shown.add_column(column, justify="left" if column == "training" else "right")
    for side, text in (("plain", f"Keras fit, batch {PLAIN_BATCH}"), ("ours", "Moovier")):
        to_target = result[side]["to_target_s"]
        shown.add_row(
            text,
            "never" if to_target is None else f"{to_target:.2f}",
            f"{result[side]['best_mae']:.4f}",
            f"{result[side]['to_best_s']:.2f}",
        )
    ratio = result["times_faster"]
    shown.caption = "" if ratio is None else f"{ratio:.1f} times faster"
    return shown


if __name__ == "__main__":
    main()
