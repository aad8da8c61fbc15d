"""``make bench-quality``: our families beside the strongest simple baselines (docs/metrics.md).

Everybody is treated alike, on one thread:

1. *Tuned* with the same number of trials on the development split alone, which has no rating of a
   test visitor and no test visit. One fit a trial. Models that rank are compared by the geometric
   mean of the NDCG@10 of validation visitors and of validation next visits, models that rate by
   the RMSE on a tenth of the rows that the stars' test leaves. The first trial is the middle of
   the search space, the others are Optuna's. One exception: the first trial of the champion is its
   defaults. They and its search space were chosen on folds of the same development part while the
   family was made, so it had more tuning than the budget, but no look at a test.
2. *Fitted again* with the chosen values on each protocol's training part.
3. *Measured once* on the test. Where seeds give different models, several are fitted, and each
   person's figures are means over them before the interval is drawn over people. Differences from
   the champion are paired: the same people on both sides.

The last 20 % by time and the global time cut are reported for comparison with papers. Their tests
overlap with what tuning saw, for all models alike.
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
from moovier.data import sources
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.ratings import Ratings
from moovier.data.sources import DataRef
from moovier.data.split import SPLIT_SEED
from moovier.errors import MoovierError
from moovier.settings import load_settings
from moovier.training.fit import limit_threads

#: Names the protocol in ``quality-run.json``: results of another one are not resumed.
PROTOCOL = "visitor and next visit, 1"


def main() -> None:
    """Measure, print the table, write the files into ``benchmarks/out``.

    Exits with 1 where the data, a library or every model is missing.
    """
    options, console = _options(), Console()
    given = {} if options.data is None else {"data": options.data}
    try:
        reference = sources.fetch(load_settings(**given))
        _, ratings, catalogue = to_arrays(read_movielens(reference.folder))
    except MoovierError as error:
        sys.exit(str(error))
    chosen = contenders(catalogue, options.only, rank_raters=options.all)
    if not chosen:
        names = ", ".join(one.name for one in contenders(catalogue))
        sys.exit(f"no model's name contains {' or '.join(options.only)}; there are: {names}")
    _prepare(chosen)
    about = _about(reference, ratings, options)
    earlier = _earlier(about) if options.resume else {}
    if earlier and not options.only:
        chosen = [one for one in chosen if one.name not in earlier]
    mark = " (SYNTHETIC ratings)" if reference.synthetic else ""
    console.print(
        f"{reference.name}{mark}: {len(ratings):,} ratings; {len(chosen)} models to measure, "
        f"{options.trials} trials, up to {options.seeds} seeds, one thread"
    )
    # Taken before the work, so that the load is not our own.
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
        prog="python -m benchmarks.quality", description="Our families beside simple baselines."
    )
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument(
        "--trials", type=int, default=20, help="tuning trials a model (20); 0: defaults"
    )
    arguments.add_argument(
        "--seeds", type=int, default=3, help="fits of a model whose training is random (3)"
    )
    arguments.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="models whose name contains it"
    )
    arguments.add_argument(
        "--all",
        action="store_true",
        help="measure the ranking of models that predict stars too",
    )
    arguments.add_argument(
        "--resume",
        action="store_true",
        help="keep the results of an earlier run with the same data, trials and seeds; models "
        "that --only names are measured again",
    )
    options = arguments.parse_args()
    if options.trials < 0 or options.seeds < 1:
        arguments.error("--trials must be at least 0, --seeds at least 1")
    return options


def _about(reference: DataRef, ratings: Ratings, options: argparse.Namespace) -> dict[str, Any]:
    """Return what is measured and how: figures compare where this is equal."""
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
    """Import the models' libraries and limit them to one thread; exit 1 where one is missing."""
    from threadpoolctl import threadpool_limits

    needed = {one.library: one.name for one in chosen if one.library is not None}
    missing = []
    for library in needed:
        try:
            importlib.import_module(library)
        except ImportError as error:
            users = ", ".join(one.name for one in chosen if one.library == library)
            missing.append(f"{users}: the package {library} cannot be imported ({error})")
    if missing:
        sys.exit(
            "\n".join(missing) + "\n`make bench-quality` installs what the lock names; by hand: "
            "pip install -c requirements.lock implicit scikit-surprise. Or leave them out: --only"
        )
    limit_threads(THREADS)
    # After the imports: it reaches only what is loaded.
    threadpool_limits(THREADS)


def _earlier(about: Mapping[str, Any]) -> dict[str, Entry]:
    """Return the results of the last run by model; none where it measured in another way."""
    file = report.OUT / "quality-run.json"
    if not file.exists():
        return {}
    run = orjson.loads(file.read_bytes())
    if any(run.get(name) != about[name] for name in about):
        return {}
    return {entry["model"]: entry for entry in run["models"]}


def _ordered(measured: Mapping[str, Entry], catalogue: Catalogue) -> list[Entry]:
    return [measured[one.name] for one in contenders(catalogue) if one.name in measured]


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
