"""``make bench-quality``: compare Moovier's families with simple baselines (docs/metrics.md).

All models get the same treatment on one thread:

1. *Tuning* with the same number of trials on the development split, which has no rating of a test
   visitor and no test visit. Each trial is one fit. Models that rank use the geometric mean of the
   NDCG@10 of validation visitors and of validation next visits. Models that predict stars use the
   RMSE on a tenth of the rows outside the test of stars. The first trial is the middle of the
   search space, and Optuna draws the others. The champion is an exception: its first trial has its
   defaults. The defaults and the search space were chosen on folds of the same development part
   during the development of the family, so it had more tuning than the budget, but no test data.
2. *Fit* with the chosen values on the training part of each protocol.
3. *Measurement*, once, on the test part. If seeds give different models, several are fitted, and
   each user's metrics are means over them before the bootstrap over users. Differences from the
   champion are paired by user.

The last 20 % by time and the global time split are reported for comparison with papers. Their test
parts overlap with the tuning data, for all models.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console

from benchmarks import quality_report, report
from benchmarks.adapters import THREADS, TUNING_SEED, Contender, contenders
from benchmarks.quality_measure import INTERVAL_SEED, Data, Entry, measure
from benchmarks.quality_rows import rows_of
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.sources import DataRef
from moovier.data.split import SPLIT_SEED
from moovier.errors import MoovierError
from moovier.settings import load_settings
from moovier.training.fit import limit_threads

#: The protocol in ``quality-run.json``; results of another one are not resumed.
PROTOCOL = "visitor and next visit, 1"


def main() -> None:
    """Measure, print the table and write the files into ``benchmarks/out``.

    Exits with 1 if the data, a library or every model is missing.
    """
    options, console = _options(), plain_console(soft_wrap=False)
    try:
        reference = sources.fetch(load_settings(**report.data_setting(options.data)))
        _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    except MoovierError as error:
        sys.exit(str(error))
    chosen = contenders(catalogue, options.only, rank_raters=options.all)
    if not chosen:
        names = ", ".join(model.name for model in contenders(catalogue))
        sys.exit(f"no model's name contains {' or '.join(options.only)}; the models are: {names}")
    _prepare(chosen)
    about = _about(reference, ratings, options)
    earlier = _earlier(about) if options.resume else {}
    if earlier and not options.only:
        chosen = [model for model in chosen if model.name not in earlier]
    mark = " (SYNTHETIC ratings)" if reference.synthetic else ""
    console.print(
        f"{reference.name}{mark}: {len(ratings):,} ratings; {len(chosen)} models to measure, "
        f"{options.trials} trials, up to {options.seeds} seeds, one thread"
    )
    # Before the work, so that the load is that of other processes.
    about |= {"machine": report.machine(), "versions": report.versions()}
    data, measured = Data.of(ratings), dict(earlier)
    for number, contender in enumerate(chosen, start=1):
        measured[contender.name] = measure(
            contender,
            data,
            trials=options.trials,
            seeds=options.seeds,
            say=_printer(console, f"{number}/{len(chosen)} {contender.name}: "),
        )
        # After each model, so that an interruption loses little.
        _write(about, _ordered(measured, catalogue))
    entries = _ordered(measured, catalogue)
    rows = rows_of(entries)
    console.print(quality_report.table(rows, about["data"]))
    page = quality_report.write_page(report.OUT, about, entries, rows)
    files = [*_write(about, entries), page]
    console.print(
        "written to " + ", ".join(str(file.relative_to(file.parents[2])) for file in files),
        soft_wrap=True,
    )


def _printer(console: Console, start: str) -> Callable[[str], None]:
    """Return a function that prints a line of progress after ``start``."""
    return lambda text: console.print(f"{start}{text}", highlight=False, soft_wrap=True)


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Moovier's families and baselines."
    )
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument(
        "--trials", type=int, default=20, help="tuning trials per model (20); 0: defaults"
    )
    arguments.add_argument(
        "--seeds", type=int, default=3, help="fits of a model with random training (3)"
    )
    arguments.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="only models whose name contains NAME",
    )
    arguments.add_argument(
        "--all",
        action="store_true",
        help="also measure the ranking of models that predict stars",
    )
    arguments.add_argument(
        "--resume",
        action="store_true",
        help="keep the results of an earlier run with the same data, trials and seeds; models "
        "of --only are measured again",
    )
    options = arguments.parse_args()
    if options.trials < 0 or options.seeds < 1:
        arguments.error("--trials must be at least 0, --seeds at least 1")
    return options


def _about(reference: DataRef, ratings: Ratings, options: argparse.Namespace) -> dict[str, Any]:
    """Return the data and options; results are comparable if these are equal."""
    return {
        "protocol": PROTOCOL,
        "data": {
            "name": reference.name,
            "hash": reference.hash,
            "synthetic": reference.synthetic,
            "ratings": len(ratings),
            "users": int(np.unique(ratings.users).size),
            "movies": ratings.n_movies,
        },
        "trials": options.trials,
        "seeds": options.seeds,
        "all": options.all,
        "threads": THREADS,
        "tuning_seed": TUNING_SEED,
    }


def _prepare(chosen: Sequence[Contender]) -> None:
    """Import the models' libraries and limit them to one thread; exit 1 if one is missing."""
    from threadpoolctl import threadpool_limits

    libraries = dict.fromkeys(model.library for model in chosen if model.library is not None)
    missing = []
    for library in libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            names = ", ".join(model.name for model in chosen if model.library == library)
            missing.append(f"{names}: the package {library} cannot be imported ({error})")
    if missing:
        sys.exit(
            "\n".join(missing)
            + "\n`make bench-quality` installs the packages of the lock file; by "
            "hand: pip install -c requirements.lock implicit scikit-surprise. Or use --only"
        )
    limit_threads(THREADS)
    # After the imports, because it limits only loaded libraries.
    threadpool_limits(THREADS)


def _earlier(about: Mapping[str, Any]) -> dict[str, Entry]:
    """Return the results of the last run by model; empty if its data or options differ."""
    file = report.OUT / "quality-run.json"
    if not file.exists():
        return {}
    run = orjson.loads(file.read_bytes())
    if any(run.get(name) != about[name] for name in about):
        return {}
    return {entry["model"]: entry for entry in run["models"]}


def _ordered(measured: Mapping[str, Entry], catalogue: Catalogue) -> list[Entry]:
    return [measured[model.name] for model in contenders(catalogue) if model.name in measured]


def _write(about: Mapping[str, Any], entries: Sequence[Entry]) -> list[Path]:
    run = {
        **about,
        "split_seed": SPLIT_SEED,
        "interval_seed": INTERVAL_SEED,
        "models": list(entries),
    }
    return [report.write("quality", rows_of(entries)), report.write("quality-run", run)]


if __name__ == "__main__":
    main()
