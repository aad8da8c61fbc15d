"""``make bench-train``: our training beside Keras's plain ``fit``, on the original's NeuMF.

Both train the same architecture (embedding 10) on the same split of the real ml-latest-small:
the validation rows are the first tenth of ``default_rng(0).permutation(n)``, rows in file order.

- *plain*: ``keras.Model.fit`` as the original calls it: batches of 64, Adam at its default rate,
  mean absolute error, until the validation error stops getting better;
- *ours*: the trainer and the hyper-parameters that the product has by default. They were chosen on
  a tenth of the training rows, never on these validation rows.

Counted is the wall time from the first line of building the model: building, compiling, tracing
and validating are in it, importing Keras is not. Each side is first run on a few rows, so that
neither pays for what TensorFlow does once per process.
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
from rich.console import Console
from rich.table import Table

from benchmarks import report
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.split import random_split
from moovier.models.family import FitContext
from moovier.models.neumf import NeuMFFamily, NeuMFParams, build
from moovier.settings import load_settings
from moovier.training.fit import limit_threads

#: Validation error of the original recipe, in stars, and how much faster ours must reach it.
ORIGINAL_MAE, BAR = 0.668, 8.0
SIZE, PLAIN_BATCH, PATIENCE = 10, 64, 2
_WARM_UP_ROWS = 2000


@dataclass(frozen=True)
class Epoch:
    """``at_s``: wall seconds since the start of the run. ``mae``: validation error in stars."""

    at_s: float
    mae: float


def main() -> None:
    """Run both, print the table, write ``benchmarks/out/train.json``; exit 1 below the bar."""
    arguments = argparse.ArgumentParser(description="Our training beside Keras's plain fit.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--seeds", type=int, default=3, help="runs of each side")
    options = arguments.parse_args()
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    reference = sources.fetch(load_settings(**given))
    _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    train, validation = random_split(ratings, seed=0)
    limit_threads(options.threads)
    synthetic = " (SYNTHETIC ratings: the bar is about ml-latest-small)"
    console.print(
        f"{reference.name}{synthetic if reference.synthetic else ''}: {len(train):,} ratings to "
        f"train on, {len(validation):,} to judge by, {options.threads} threads"
    )
    few = train.take(np.arange(min(_WARM_UP_ROWS, len(train))))
    plain(few, validation, seed=0, most_epochs=1)
    ours(few, validation, catalogue=catalogue, seed=0)
    runs = []
    for seed in range(options.seeds):
        run = {
            "plain": plain(train, validation, seed=seed),
            "ours": ours(train, validation, catalogue=catalogue, seed=seed),
        }
        runs.append(run)
        for side, epochs in run.items():
            told = ", ".join(f"{one.mae:.4f} {one.at_s:.1f}s" for one in epochs[:4])
            console.print(f"seed {seed} {side}: {told}")
    result = summary(runs)
    console.print(table(result))
    file = report.write(
        "train",
        {
            "data": {"name": reference.name, "hash": reference.hash},
            "threads": options.threads,
            "target_mae": ORIGINAL_MAE,
            **result,
            "runs": [{side: [asdict(one) for one in run[side]] for side in run} for run in runs],
        },
    )
    console.print(f"written to {file.relative_to(file.parents[2])}")
    ratio = result["times_faster"]
    if reference.synthetic or (ratio is not None and ratio >= BAR):
        return
    console.print(f"below the bar: {BAR:g} times faster to {ORIGINAL_MAE} stars")
    sys.exit(1)


def plain(train: Ratings, validation: Ratings, *, seed: int, most_epochs: int = 30) -> list[Epoch]:
    """``keras.Model.fit`` at batch 64, an entry an epoch."""
    import keras

    found: list[Epoch] = []

    def note(_epoch: int, logs: Mapping[str, float]) -> None:
        found.append(Epoch(time.perf_counter() - started, float(logs["val_loss"])))

    keras.utils.set_random_seed(seed)
    started = time.perf_counter()
    model = build(train.n_users, train.n_movies, NeuMFParams(size=SIZE))
    model.compile("adam", "mean_absolute_error")
    model.fit(
        [train.users, train.movies],
        train.stars,
        batch_size=PLAIN_BATCH,
        epochs=most_epochs,
        validation_data=([validation.users, validation.movies], validation.stars),
        callbacks=[
            keras.callbacks.EarlyStopping(patience=PATIENCE),
            keras.callbacks.LambdaCallback(on_epoch_end=note),
        ],
        verbose=0,
    )
    return found


def ours(train: Ratings, validation: Ratings, *, catalogue: Catalogue, seed: int) -> list[Epoch]:
    """The family's own training, an entry an epoch."""
    found: list[Epoch] = []

    def note(_epoch: int, figures: Mapping[str, float]) -> None:
        found.append(Epoch(time.perf_counter() - started, figures["val_loss"]))

    started = time.perf_counter()
    NeuMFFamily().fit(
        train,
        NeuMFParams(size=SIZE),
        FitContext(catalogue, seed, validation=validation, on_epoch=note),
    )
    return found


def summary(runs: Sequence[Mapping[str, Sequence[Epoch]]]) -> dict[str, Any]:
    """Medians over the runs. ``times_faster``: the ratio of the two ``to_target_s``, None where a
    side never got there."""
    sides: dict[str, Any] = {}
    for side in ("plain", "ours"):
        best = [min(run[side], key=lambda one: one.mae) for run in runs]
        first = [next((e for e in run[side] if e.mae <= ORIGINAL_MAE), None) for run in runs]
        reached = [one.at_s for one in first if one is not None]
        sides[side] = {
            "to_target_s": statistics.median(reached) if len(reached) == len(runs) else None,
            "best_mae": statistics.median(one.mae for one in best),
            "to_best_s": statistics.median(one.at_s for one in best),
        }
    times = [sides[side]["to_target_s"] for side in ("plain", "ours")]
    return {**sides, "times_faster": None if None in times else times[0] / times[1]}


def table(result: Mapping[str, Any]) -> Table:
    shown = Table(title=f"NeuMF, embedding {SIZE}: time to a validation MAE of {ORIGINAL_MAE}")
    for column in ("training", "seconds to it", "best MAE", "seconds to best"):
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
