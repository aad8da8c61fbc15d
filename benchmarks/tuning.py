"""``make bench-tuning``: one budget of trials by one worker and by two, as processes.

Both search the same queue of hyper-parameters, drawn once by a seed, so that they have the same
work; which of the later trials the pruner ends early may differ a little. Every worker trains with
one thread. The study lies where the product's would: in the database that
``MOOVIER_OPTUNA_STORAGE`` names, else in a journal file.

Counted is the wall time from the moment when all workers are ready until the last one ends.
Importing TensorFlow, reading the data and a first short training are not in it: they cost every
worker the same some seconds, once (``start_s``).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import optuna
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks import report
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import Development, development_split
from moovier.models.families import family
from moovier.settings import load_settings
from moovier.tuning import study as studies

#: A family in NumPy and one in Keras, whose trials take seconds.
FAMILIES = ("ease", "emb")
#: Two workers, on two free cores, should at least come to this.
BAR = 1.5
_SEED = 0


@dataclass(frozen=True)
class Run:
    """One budget worked off. ``wall_s``: from all workers ready to the last one's end;
    ``busy_s``: what the workers spent in trials, together; ``pruned``: trials ended early."""

    workers: int
    start_s: float
    wall_s: float
    busy_s: float
    trials: int
    pruned: int


def main() -> None:
    """Run, print the table, write ``benchmarks/out/tuning.json``."""
    arguments = argparse.ArgumentParser(description="One budget by one worker and by two.")
    arguments.add_argument("--data", help="data set or folder; by default the settings' one")
    arguments.add_argument("--trials", type=int, default=12, help="per family")
    arguments.add_argument("--family", action="append", help="repeat for several")
    arguments.add_argument("--work", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.work is not None:
        work(**orjson.loads(options.work))
        return
    console = Console()
    given = {} if options.data is None else {"data": options.data}
    settings = load_settings(**given)
    reference = sources.fetch(settings)
    before = os.getloadavg()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = settings.optuna_storage or str(Path(folder) / "bench.journal")
        where = place.partition(":")[0] if "://" in place else "journal"
        synthetic = " (SYNTHETIC ratings)" if reference.synthetic else ""
        console.print(
            f"{reference.name}{synthetic}, study in {where}, one thread a worker, load "
            f"{before[0]:.1f} before"
        )
        for name in options.family or FAMILIES:
            queue = drawn(name, options.trials)
            runs = [
                measure(name, queue, workers, place, str(reference.folder)) for workers in (1, 2)
            ]
            one, two = runs
            found[name] = {
                "times_faster": one.wall_s / two.wall_s,
                "runs": [asdict(run) for run in runs],
            }
            console.print(f"{name}: {one.wall_s:.1f} s alone, {two.wall_s:.1f} s by two")
    after = os.getloadavg()
    console.print(table(found))
    file = report.write(
        "tuning",
        {
            "data": {"name": reference.name, "hash": reference.hash},
            "storage": where,
            "trials": options.trials,
            "tensorflow_import": "excluded",
            "load_before": before,
            "load_after": after,
            "families": found,
        },
    )
    console.print(f"load after: {after[0]:.1f}; written to {file.relative_to(file.parents[2])}")
    low = [name for name, one in found.items() if one["times_faster"] < BAR]
    if low:
        console.print(f"below the bar of {BAR:g} times (cores that are free?): {', '.join(low)}")
        sys.exit(1)


def drawn(name: str, trials: int) -> list[dict[str, Any]]:
    """So many sets of the family's hyper-parameters, at random, always the same."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    scratch = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=_SEED))
    sets = []
    for _ in range(trials):
        trial = scratch.ask()
        family(name).search_space(trial)
        sets.append(dict(trial.params))
    return sets


def measure(name: str, queue: Sequence[dict[str, Any]], workers: int, place: str, data: str) -> Run:
    """Work ``queue`` off with so many processes."""
    study_name = f"bench-tuning-{uuid.uuid4().hex[:8]}"
    storage = studies.storage_of(place)
    study = studies.open_study(storage, study_name, name, seed=_SEED, worker=0)
    for params in queue:
        study.enqueue_trial(params)
    started = time.perf_counter()
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.tuning", "--work"),
                orjson.dumps(
                    {
                        "place": place,
                        "study_name": study_name,
                        "name": name,
                        "worker": worker,
                        "trials": len(queue),
                        "data": data,
                    }
                ).decode(),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": "1"},
        )
        for worker in range(workers)
    ]
    try:
        for process in processes:
            _heard(process, "ready")
        start_s, begun = time.perf_counter() - started, time.perf_counter()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _heard(process, "done")
        wall_s = time.perf_counter() - begun
    finally:
        for process in processes:
            process.kill()
            process.wait()
    ended = studies.finished_trials(study, name)
    optuna.delete_study(study_name=study_name, storage=storage)
    if len(ended) != len(queue):
        raise SystemExit(f"{name}: {len(ended)} of {len(queue)} trials ended")
    return Run(
        workers,
        start_s,
        wall_s,
        sum(one.seconds for one in ended),
        len(ended),
        sum(one.state == "pruned" for one in ended),
    )


def work(place: str, study_name: str, name: str, worker: int, trials: int, data: str) -> None:
    """A worker's process: gets ready, waits for the word, works, says that it is done."""
    _, ratings, catalogue = to_arrays(read_movielens(Path(data)))
    split = development_split(ratings)
    study = studies.open_study(
        studies.storage_of(place), study_name, name, seed=_SEED, worker=worker
    )
    _warm_up(name, split, catalogue)
    print("ready", flush=True)
    sys.stdin.readline()
    studies.run_worker(
        study,
        split,
        name,
        catalogue=catalogue,
        worker=worker,
        trials=trials,
        seed=_SEED,
        threads=1,
    )
    print("done", flush=True)


def _warm_up(name: str, split: Development, catalogue: Any) -> None:
    """What a process does once: one trial in a study of its own, in memory."""
    alone = optuna.create_study(direction="maximize")
    alone.enqueue_trial(drawn(name, 1)[0])
    studies.run_worker(
        alone, split, name, catalogue=catalogue, worker=0, trials=1, seed=_SEED, threads=1
    )


def _heard(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise SystemExit(f"a worker ended before it was {word}: exit code {process.wait()}")


def table(found: dict[str, Any]) -> Table:
    shown = Table(title="One budget of trials, by one worker and by two")
    for column in ("family", "trials", "one worker", "two workers", "times faster"):
        shown.add_column(column, justify="left" if column == "family" else "right")
    for name, one in found.items():
        alone, both = one["runs"]
        shown.add_row(
            name,
            f"{alone['trials']}",
            f"{alone['wall_s']:.1f} s",
            f"{both['wall_s']:.1f} s",
            f"{one['times_faster']:.2f}",
        )
    shown.caption = "without the import of TensorFlow and the reading of the data"
    return shown


if __name__ == "__main__":
    main()
