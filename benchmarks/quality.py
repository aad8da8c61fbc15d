"""``make bench-quality``: our families beside the strongest simple rivals, by docs/metrics.md.

Everybody is treated alike, on one thread:

1. *Tuned* with the same number of trials: the first is the middle of its search space, the others
   are Optuna's. Rankers are judged by NDCG@10 on the validation part of the time split, raters by
   RMSE on a tenth of the rows that the stars' test leaves.
2. *Fitted again* with the chosen values on all that precedes the test: on training and validation
   part, on the users who are not held out, on nine tenths of the rows.
3. *Measured once* on the test. Where seeds give different models, several are fitted, and each
   user's figures are means over them before the interval is drawn over users.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console

from benchmarks import quality_report, report
from benchmarks.contenders import THREADS, TUNING_SEED, Contender, contenders
from benchmarks.quality_measure import (
    INNER_SEED,
    INTERVAL_SEED,
    SPLIT_SEED,
    Data,
    Entry,
    measure,
)
from moovier.data import store
from moovier.data.arrays import Ratings
from moovier.data.catalogue import Catalogue
from moovier.data.movielens import indexed, read_movielens
from moovier.data.store import DataRef
from moovier.errors import MoovierError
from moovier.settings import load_settings
from moovier.training.fit import limit_threads


def main() -> None:
    """Measure, print the table, write the files into ``benchmarks/out``; exit 1 where the data, a
    library or every model is missing."""
    options, console = _options(), Console()
    given = {} if options.data is None else {"data": options.data}
    try:
        reference = store.fetch(load_settings(**given))
        _, ratings, catalogue = indexed(read_movielens(reference.folder))
    except MoovierError as error:
        sys.exit(str(error))
    chosen = contenders(catalogue, options.only)
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

        def say(text: str, start: str = f"{number}/{len(chosen)} {contender.name}: ") -> None:
            console.print(f"{start}{text}", highlight=False, soft_wrap=True)

        measured[contender.name] = measure(
            contender, data, trials=options.trials, seeds=options.seeds, say=say
        )
        # After each: hours of work are not lost to an interruption.
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


def rows_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The rows of ``quality.json``: a row for known users a model, and one for new people where
    it can be asked about them; None where a figure does not apply.

    ``fit_s`` of a rater is that of the fit behind its stars.
    """
    rows = []
    for entry in entries:
        for users in ("known", "new"):
            people, stars = entry[users], entry["stars"] if users == "known" else None
            if people is None and stars is None:
                continue
            ranked, rated = people or {}, stars or {}
            rows.append(
                {
                    "model": entry["model"],
                    "ours": entry["ours"],
                    "users": users,
                    "ndcg_at_10": ranked.get("ndcg_at_10"),
                    "ndcg_at_10_low": ranked.get("ndcg_at_10_low"),
                    "ndcg_at_10_high": ranked.get("ndcg_at_10_high"),
                    "recall_at_10": ranked.get("recall_at_10"),
                    "hit_at_10": ranked.get("hit_at_10"),
                    "coverage": ranked.get("coverage_at_10"),
                    "rmse": rated.get("rmse"),
                    "mae": rated.get("mae"),
                    "fit_s": (rated or ranked)["fit_s"],
                    "ms_per_user": ranked.get("ms_per_user"),
                }
            )
    return rows


def _options() -> argparse.Namespace:
    arguments = argparse.ArgumentParser(
        prog="python -m benchmarks.quality", description="Our families beside simple rivals."
    )
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument(
        "--trials", type=int, default=20, help="tuning trials a model (20); 0: as without tuning"
    )
    arguments.add_argument(
        "--seeds", type=int, default=3, help="fits of a model whose training is random (3)"
    )
    arguments.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="models whose name contains it"
    )
    arguments.add_argument(
        "--resume",
        action="store_true",
        help="keep what an earlier run with the same data, trials and seeds measured; those that "
        "--only names are measured again",
    )
    options = arguments.parse_args()
    if options.trials < 0 or options.seeds < 1:
        arguments.error("--trials must be at least 0, --seeds at least 1")
    return options


def _about(reference: DataRef, ratings: Ratings, options: argparse.Namespace) -> dict[str, Any]:
    """What was measured and how: figures compare where this is equal."""
    return {
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
        "threads": THREADS,
        "tuning_seed": TUNING_SEED,
    }


def _prepare(chosen: Sequence[Contender]) -> None:
    """Load what the models need, and hold all of it to one thread; exit 1 where it is missing."""
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
    """What the last run measured in the same way, by model."""
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
        "split_seeds": {"test": SPLIT_SEED, "inner": INNER_SEED, "interval": INTERVAL_SEED},
        "models": list(entries),
    }
    return [report.write("quality", rows_of(entries)), report.write("quality-run", run)]


if __name__ == "__main__":
    main()
