"""``make bench-tuning``: compare tuning with one worker process and with two.

Both run the same queue of hyper-parameters, drawn with a fixed seed, so that they have equal work;
only the pruned trials may differ a little. Every worker trains with one thread. The study is in
the database of ``MOOVIER_OPTUNA_STORAGE``, else in a journal file.

The wall time starts when all workers are ready and ends with the last worker. It excludes the
import of TensorFlow, the reading of the data and a first short training, which take each worker the
same seconds once (``start_s``).
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
from rich.table import Table

from benchmarks import report
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.data.split import Development, development_split
from moovier.models.families import family
from moovier.settings import load_settings
from moovier.tuning import study as studies

#: A NumPy family and a Keras family, whose trials take seconds.
FAMILIES = ("ease", "emb")
#: Smallest speed-up by two workers on two free cores.
BAR = 1.5
_SEED = 0


@dataclass(frozen=True)
class Run:
    """The result of a number of workers.

    Attributes:
        workers: Number of workers.
        start_s: Seconds until all workers were ready.
        wall_s: Seconds from there until the last worker ended.
        busy_s: Total seconds in trials.
        trials: Number of finished trials.
        pruned: Number of trials that the pruner ended.
    """

    workers: int
    start_s: float
    wall_s: float
    busy_s: float
    trials: int
    pruned: int


def main() -> None:
    """Print the table, write ``benchmarks/out/tuning.json``; exit 1 if the bar is missed."""
    arguments = argparse.ArgumentParser(description="Tuning with one worker and with two.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--trials", type=int, default=12, help="trials per family")
    arguments.add_argument("--family", action="append", help="model family; repeat for several")
    arguments.add_argument("--work", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.work is not None:
        work(**orjson.loads(options.work))
        return
    console = plain_console(soft_wrap=False)
    settings = load_settings(**report.data_setting(options.data))
    reference = sources.fetch(settings)
    before = os.getloadavg()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        storage = settings.optuna_storage or str(Path(folder) / "bench.journal")
        kind = storage.partition(":")[0] if "://" in storage else "journal"
        synthetic = " (SYNTHETIC ratings)" if reference.synthetic else ""
        console.print(
            f"{reference.name}{synthetic}, study in {kind}, one thread per worker, load "
            f"{before[0]:.1f} before"
        )
        for name in options.family or FAMILIES:
            queue = draw_params(name, options.trials)
            runs = [
                measure(name, queue, workers, storage, str(reference.folder)) for workers in (1, 2)
            ]
            alone, together = runs
            results[name] = {
                "times_faster": alone.wall_s / together.wall_s,
                "runs": [asdict(run) for run in runs],
            }
            console.print(
                f"{name}: {alone.wall_s:.1f} s with one, {together.wall_s:.1f} s with two"
            )
    after = os.getloadavg()
    console.print(table(results))
    file = report.write(
        "tuning",
        {
            "data": {"name": reference.name, "hash": reference.hash},
            "storage": kind,
            "trials": options.trials,
            "tensorflow_import": "excluded",
            "load_before": before,
            "load_after": after,
            "families": results,
        },
    )
    console.print(f"load after: {after[0]:.1f}; written to {file.relative_to(file.parents[2])}")
    low = [name for name, result in results.items() if result["times_faster"] < BAR]
    if low:
        console.print(
            f"the bar of {BAR:g} times is missed (two cores must be free): {', '.join(low)}"
        )
        sys.exit(1)


def draw_params(name: str, trials: int) -> list[dict[str, Any]]:
    """Draw ``trials`` sets of the family's hyper-parameters with a fixed seed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=_SEED))
    sets = []
    for _ in range(trials):
        trial = study.ask()
        family(name).search_space(trial)
        sets.append(dict(trial.params))
    return sets


def measure(
    name: str, queue: Sequence[dict[str, Any]], workers: int, storage: str, data: str
) -> Run:
    """Run the trials of ``queue`` with ``workers`` processes, and measure the times."""
    study_name = f"bench-tuning-{uuid.uuid4().hex[:8]}"
    opened = studies.storage_of(storage)
    study = studies.open_study(opened, study_name, name, seed=_SEED, worker=0)
    for params in queue:
        study.enqueue_trial(params)
    started = time.perf_counter()
    processes = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "benchmarks.tuning", "--work"),
                orjson.dumps(
                    {
                        "storage": storage,
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
            _wait_for_line(process, "ready")
        start_s, ready_at = time.perf_counter() - started, time.perf_counter()
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _wait_for_line(process, "done")
        wall_s = time.perf_counter() - ready_at
    finally:
        for process in processes:
            process.kill()
            process.wait()
    finished = studies.finished_trials(study, name)
    optuna.delete_study(study_name=study_name, storage=opened)
    if len(finished) != len(queue):
        raise SystemExit(f"{name}: {len(finished)} of {len(queue)} trials finished")
    return Run(
        workers=workers,
        start_s=start_s,
        wall_s=wall_s,
        busy_s=sum(trial.seconds for trial in finished),
        trials=len(finished),
        pruned=sum(trial.state == "pruned" for trial in finished),
    )


def work(storage: str, study_name: str, name: str, worker: int, trials: int, data: str) -> None:
    """Run as a worker process: print ``ready``, wait for a line, run trials, print ``done``."""
    _, ratings, catalogue = to_arrays(read_movielens(Path(data)))
    split = development_split(ratings)
    study = studies.open_study(
        studies.storage_of(storage), study_name, name, seed=_SEED, worker=worker
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
    """Run one trial in a separate study in memory, for the work that a process does only once."""
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial(draw_params(name, 1)[0])
    studies.run_worker(
        study, split, name, catalogue=catalogue, worker=0, trials=1, seed=_SEED, threads=1
    )


def _wait_for_line(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise SystemExit(f"a worker ended before it was {word}, with exit code {process.wait()}")


def table(results: dict[str, Any]) -> Table:
    """Return the table of all families."""
    shown = Table(title="The same trials with one worker and with two")
    for column in ("family", "trials", "one worker", "two workers", "times faster"):
        shown.add_column(column, justify="left" if column == "family" else "right")
    for name, result in results.items():
        alone, together = result["runs"]
        shown.add_row(
            name,
            f"{alone['trials']}",
            f"{alone['wall_s']:.1f} s",
            f"{together['wall_s']:.1f} s",
            f"{result['times_faster']:.2f}",
        )
    shown.caption = "without the import of TensorFlow and the reading of the data"
    return shown


if __name__ == "__main__":
    main()
