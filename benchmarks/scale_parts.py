"""``python -m benchmarks.scale_parts``: what each part of a retraining takes at one size.

The ratings are those of ``make bench-scale``. The parts run one after the other in one process, on
one thread by default, without MLflow and Airflow. So the processor time hardly depends on other
work on the machine, and shows where the time of a retraining goes. ``peak_gb`` is the largest
resident memory (Linux) while a part runs, with everything that the parts before it left.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from rich.table import Table

from benchmarks import report
from benchmarks.scale_data import write_ratings
from moovier.cli.console import plain_console
from moovier.cli.train import quiet_tensorflow
from moovier.data import columns
from moovier.data.columns import Columns
from moovier.data.ratings import Ratings
from moovier.data.split import Development, development_split
from moovier.jobs import batch
from moovier.jobs.registration import write_model
from moovier.models import ease
from moovier.models.bundle import Bundle, Card, DataFacts
from moovier.models.dae_scoring import DaeParams
from moovier.models.families import FOR_LARGE_CATALOGUES, family
from moovier.models.family import HyperParameters
from moovier.models.item_statistics import ItemStatistics, Weighting
from moovier.monitoring import drift
from moovier.monitoring.dataset_diff import Change, Snapshot
from moovier.serving.recommender import Recommender
from moovier.settings import Settings
from moovier.training import budget, fit, protocols
from moovier.training.budget import Budget, Size
from moovier.tuning import study

#: Users whose lists are measured, and the length of a list.
LIST_USERS, TOP_K = 4096, 100
#: Share of the newest ratings that the second look of the monitoring finds added.
ADDED = 0.01
_T = TypeVar("_T")


@dataclass(frozen=True)
class Part:
    """The processor seconds and the peak memory (GB) of one part."""

    name: str
    processor_s: float
    peak_gb: float


@dataclass
class Meter:
    """Runs parts and keeps what they took."""

    parts: list[Part] = field(default_factory=list)

    def run(self, name: str, part: Callable[[], _T]) -> _T:
        """Run one part and return its result."""
        gc.collect()
        with suppress(OSError):
            # Linux then counts the largest resident memory anew.
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        started = time.process_time()
        result = part()
        self.parts.append(Part(name, time.process_time() - started, _peak_gb()))
        print(f"{name}: {self.parts[-1].processor_s:.1f} s, {self.parts[-1].peak_gb:.2f} GB")
        return result


def _peak_gb() -> float:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e9
    return float("nan")


@dataclass(frozen=True)
class _Data:
    """The columns, their ratings, the development split and the sums that trainings share."""

    columns: Columns
    ratings: Ratings
    split: Development
    statistics: ItemStatistics | None


def main() -> None:
    """Print the table and write ``benchmarks/out/scale_parts.json``."""
    parser = argparse.ArgumentParser(description="The parts of a retraining, one by one.")
    parser.add_argument("--size", type=int, default=1_000_000, help="number of ratings")
    parser.add_argument("--data", type=Path, help="folder to keep the generated data in")
    parser.add_argument("--family", action="append", help="family to measure; repeatable")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    quiet_tensorflow()
    meter = Meter()
    with tempfile.TemporaryDirectory(prefix="scale-parts-") as scratch:
        folder = write_ratings(
            (options.data or Path(scratch)) / f"scale-{options.size}", options.size
        )
        measure(meter, folder, Path(scratch), options.family, options.threads)
    table = Table(title=f"{options.size:,} ratings, {options.threads} thread(s)")
    for column in ("part", "processor s", "peak GB"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for part in meter.parts:
        table.add_row(part.name, f"{part.processor_s:.1f}", f"{part.peak_gb:.2f}")
    plain_console(soft_wrap=False).print(table)
    rows = [asdict(part) for part in meter.parts]
    report.write("scale_parts", {"ratings": options.size, "parts": rows})


def measure(
    meter: Meter, folder: Path, scratch: Path, families: Sequence[str] | None, threads: int
) -> None:
    """Measure all parts on the ratings in ``folder``."""
    settings = Settings(home=scratch / "home")
    _, parsed = meter.run(
        "read, check, sort, write columns",
        lambda: columns.parsed(folder, "scale", settings, name="scale", synthetic=True),
    )
    found = meter.run("check and map columns", lambda: columns.read(parsed))
    ratings = found.histories.ratings()
    split = meter.run("split", lambda: development_split(ratings))
    size = Size(len(ratings), ratings.n_users, ratings.n_movies, budget.frequent(ratings))
    plan = budget.plan(
        families or ("dae", "ease", "taste", "emb"),
        size,
        trials=20,
        embedding_sizes=(50,),
        memory=Settings().train_memory_gb,
        may_add=() if families else tuple(FOR_LARGE_CATALOGUES),
    )
    for note in plan.notes:
        print(note)
    fit.limit_threads(threads)
    popular = meter.run(
        "popularity, all windows",
        lambda: fit.train_popularity(split, catalogue=found.catalogue, seed=0, threads=threads),
    )
    meter.run(
        "popularity, tests",
        lambda: protocols.evaluate(popular, ratings, catalogue=found.catalogue),
    )
    statistics = None
    if plan.covered is not None and set(budget.DENSE) & set(plan.families):
        covered = plan.covered
        statistics = meter.run(
            f"sums of {covered} movies and one solution",
            lambda: _statistics(scratch, ratings, split, covered, threads),
        )
    data = _Data(found, ratings, split, statistics)
    for name in plan.families:
        params = _default_params(name, plan)
        _measure_family(meter, data, name, params, threads, scratch)
    _measure_monitoring(meter, data)


def _statistics(
    scratch: Path, ratings: Ratings, split: Development, most: int, threads: int
) -> ItemStatistics:
    """Return the shared sums, with the weights of the default penalty, as `prepare` does."""
    train, defaults = split.train.histories, DaeParams()
    covered = ease.frequent_movies(train.movie_counts(), defaults.least, most)
    statistics = ItemStatistics(scratch / "sums", ratings.histories, covered, threads)
    weighting = Weighting(defaults.star_power, ease.LONGEST_HALF_LIFE)
    statistics.weights(train, lambda_=defaults.lambda_, weighting=weighting)
    return statistics


def _default_params(name: str, plan: Budget) -> HyperParameters:
    """Return the family's defaults, on the grids of the plan: its first trial."""
    values = study.default_values(name, plan.grids.get(name, {})) or {}
    return family(name).hyper_parameters.model_validate(values)


def _measure_family(
    meter: Meter, data: _Data, name: str, params: HyperParameters, threads: int, scratch: Path
) -> None:
    """Measure a trial, the tests, the final training and the storage of one family."""
    catalogue, statistics = data.columns.catalogue, data.statistics
    trained = meter.run(
        f"{name}, one trial",
        lambda: fit.train(
            data.split,
            name,
            params,
            catalogue=catalogue,
            seed=0,
            threads=threads,
            statistics=statistics,
        ),
    )
    meter.run(
        f"{name}, tests",
        lambda: protocols.evaluate(
            trained, data.ratings, catalogue=catalogue, statistics=statistics
        ),
    )
    fitted = meter.run(
        f"{name}, final training",
        lambda: fit.refit(
            data.ratings,
            name,
            params,
            catalogue=catalogue,
            epochs=trained.fitted.epochs,
            seed=0,
            threads=threads,
            statistics=statistics,
        ),
    )
    facts = DataFacts(
        name="scale",
        hash="scale",
        synthetic=True,
        ratings=len(data.ratings),
        users=data.ratings.n_users,
        movies=data.ratings.n_movies,
    )
    card = Card(name=name, family=name, params=params.model_dump(mode="json"), data=facts)
    bundle = Bundle(card, data.columns.index, data.ratings.histories, catalogue, fitted.arrays)
    meter.run(f"{name}, store", lambda: write_model(scratch / name, bundle, fitted.keras_model))
    if family(name).objective == "ranking":
        _measure_lists(meter, bundle)


def _measure_lists(meter: Meter, bundle: Bundle) -> None:
    recommender = meter.run(f"{bundle.card.family}, load", lambda: Recommender(bundle))
    users = bundle.index.users[:: max(1, bundle.index.users.size // LIST_USERS)].tolist()
    meter.run(
        f"{bundle.card.family}, lists of {len(users)} of {bundle.index.users.size} users",
        lambda: batch.lists_table(users, recommender.ranking_ids(users, TOP_K), 1),
    )


def _measure_monitoring(meter: Meter, data: _Data) -> None:
    """Measure the comparison of the data with themselves, and without the newest ratings."""
    ratings, catalogue = data.ratings, data.columns.catalogue
    current = Snapshot(data.columns.index, ratings, catalogue)
    earlier = ratings.timestamps < np.quantile(ratings.timestamps, 1 - ADDED)
    references = {
        "no change": current,
        f"{ADDED:.0%} added": Snapshot(data.columns.index, ratings.take(earlier), catalogue),
    }
    for name, reference in references.items():
        meter.run(f"monitoring, {name}", partial(_look, reference, current))


def _look(reference: Snapshot, current: Snapshot) -> None:
    change = Change.between(reference, current)
    drift.added_drift(change, drift.Limits(), seed=0)
    drift.removed_drift(change, drift.Limits(), seed=0)


if __name__ == "__main__":
    main()
