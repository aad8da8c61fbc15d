"""``make bench-batch``: compare the lists of all users with a plain loop over one model.

- *Moovier* does all that the command does: it asks MLflow for the version, reads the bundle and the
  feedback, computes all lists, and writes and publishes Parquet files;
- *plain loop* is the simplest script, in one process: it reads the bundle, scores a user, leaves
  out the rated movies, sorts and keeps the ids. It writes no file;
- *implicit, ALS* is `implicit`'s ``recommend`` of all users at once, by an ALS model with 64
  factors in memory. It writes no file.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from benchmarks import models, report
from benchmarks.servers import mlflow_server
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.jobs import batch
from moovier.jobs.registration import open_registry
from moovier.models import bundle
from moovier.models.bundle import Bundle
from moovier.models.families import family
from moovier.settings import Settings, load_settings

TOP_K, SHARDS, ROUNDS = 100, 2, 3
MODEL = ("dae", 128)
#: Largest number of seconds for all lists.
BAR_S = 10.0


def main() -> None:
    """Print the table, write ``benchmarks/out/batch.json``; exit 1 if the bar is missed."""
    arguments = argparse.ArgumentParser(description="The lists of all users.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--top-k", type=int, default=TOP_K)
    arguments.add_argument("--shards", type=int, default=SHARDS)
    options = arguments.parse_args()
    console = plain_console(soft_wrap=False)
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with mlflow_server(folder) as mlflow:
            settings = Settings(home=folder / "home", mlflow_tracking_uri=mlflow)
            console.print(f"registering a model of {reference.name}")
            version = models.register(settings, folder, reference.folder, *MODEL)
            open_registry(settings).promote(version, "for a benchmark")
            config = batch.configured(top_k=options.top_k, shards=options.shards)
            # The first run downloads the bundle.
            result = batch.batch_all(config, settings=settings)
            folder_of_bundle = settings.path("bundles", f"{version.number}-{version.run_id}")
            rows = _rows(settings, config, folder_of_bundle, options.top_k)
    table = Table(
        title=f"{reference.name}: {options.top_k} movies for each of {result['users']:,} users"
    )
    for column in ("Program", "s", "users/s", "x loop"):
        table.add_column(column, justify="left" if column == "Program" else "right")
    loop_s = next(row["seconds"] for row in rows if row["what"] == "plain loop")
    for row in rows:
        row["ratio"] = row["seconds"] / loop_s
        row["users_per_s"] = result["users"] / row["seconds"]
        table.add_row(
            row["what"],
            f"{row['seconds']:.2f}",
            f"{row['users_per_s']:,.0f}",
            f"{row['ratio']:.2f}",
        )
    console.print(table)
    data = {"name": reference.name, "hash": reference.hash, "synthetic": reference.synthetic}
    file = report.write(
        "batch",
        {
            "data": data,
            "users": result["users"],
            "rows": result["rows"],
            "top_k": options.top_k,
            "shards": options.shards,
            "contenders": rows,
        },
    )
    console.print(f"written to {file.relative_to(file.parents[2])}")
    if rows[0]["seconds"] > BAR_S:
        sys.exit(f"the bar is missed: {BAR_S:g} s")


def _rows(
    settings: Settings, config: batch.BatchConfig, folder: Path, top_k: int
) -> list[dict[str, Any]]:
    """Return the median seconds of each program.

    The programs take turns, so that other work on the machine affects all of them.
    """
    contenders: dict[str, Callable[[], object]] = {
        f"Moovier, {config.shards} shards": lambda: batch.batch_all(config, settings=settings),
        "Moovier, 1 shard": lambda: batch.batch_all(
            config.model_copy(update={"shards": 1}), settings=settings
        ),
        "plain loop": lambda: _loop(bundle.load(folder), top_k),
    }
    implicit = _implicit(bundle.load(folder), top_k)
    if implicit is not None:
        contenders["implicit, ALS"] = implicit
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return [{"what": name, "seconds": statistics.median(times)} for name, times in seconds.items()]


def _loop(model: Bundle, top_k: int) -> list[list[int]]:
    scorer = family(model.card.family).scorer(model.arrays)
    lists = []
    for row in range(model.index.users.size):
        scores = scorer.score(np.array([row]), model.histories)[0].copy()
        scores[model.histories[row].movies] = -np.inf
        top = np.argsort(-scores, kind="stable")[:top_k]
        lists.append(model.index.movies[top].tolist())
    return lists


def _implicit(model: Bundle, top_k: int) -> Callable[[], object] | None:
    """Return a call of `implicit` for all users; its training is not timed."""
    try:
        from implicit.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
    except ImportError:
        return None
    h = model.histories
    shape = (h.n_users, h.n_movies)
    rated = csr_matrix((h.stars.astype(np.float32), h.movies, h.offsets), shape=shape)
    als = AlternatingLeastSquares(factors=64, iterations=5, random_state=0, use_gpu=False)
    als.fit(rated, show_progress=False)
    return lambda: als.recommend(np.arange(h.n_users), rated, N=top_k)


if __name__ == "__main__":
    main()
