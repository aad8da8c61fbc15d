"""``make bench-monitor``: count monitoring's alarms without drift and with planted drift.

Every case (:mod:`benchmarks.drift_cases`) is checked with several seeds. Without drift, every alarm
is false.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from rich.table import Table

from benchmarks import report
from benchmarks.drift_cases import WITH_DRIFT, WITHOUT_DRIFT, Case, World
from moovier.cli.console import plain_console
from moovier.data import sources
from moovier.data.movielens import read_movielens, to_arrays
from moovier.monitoring import alarm_policy, drift
from moovier.monitoring.dataset_diff import Change
from moovier.monitoring.drift import KINDS, Limits
from moovier.settings import load_settings

SEEDS = 20
#: Largest number of false alarms that the bar allows among the seeds of one case.
MAX_FALSE_ALARMS = 1


def drifted_statistics(world: World, case: Case, seed: int, draws: int = drift.DRAWS) -> set[str]:
    """Return the names of the statistics that drifted in one check."""
    reference, current = case(world, np.random.default_rng(seed))
    change = Change.between(reference, current)
    added = drift.added_drift(change, Limits(), seed=seed, n=draws)
    removed = drift.removed_drift(change, Limits(), seed=seed, n=draws)
    drifted = [*added.drifted, *removed.drifted]
    assert bool(alarm_policy.drift_reasons(added, removed)) == bool(drifted)
    return {statistic.name for statistic in drifted}


def _check(task: tuple[str, str | None, int, int]) -> set[str]:
    """Check a case in a worker process: name, size (None without drift), seed, draws."""
    name, size, seed, draws = task
    case = WITHOUT_DRIFT[name] if size is None else WITH_DRIFT[name][size]
    return drifted_statistics(_world[0], case, seed, draws)


#: The data set of :func:`_check`, read once in each process.
_world: list[World] = []


def _read(folder: Path) -> None:
    _world[:] = [World(*to_arrays(read_movielens(folder)))]


def _counts(checks: Sequence[set[str]]) -> dict[str, Any]:
    """Return the number of checks with an alarm, and with each statistic among its reasons."""
    figures = {name: sum(name in statistics for statistics in checks) for name in KINDS}
    return {"alarms": sum(map(bool, checks)), "figures": figures}


def main() -> None:
    """Print both tables, write ``benchmarks/out/monitor.json``; exit 1 if the bar is missed."""
    arguments = argparse.ArgumentParser(description="False alarms and detections of monitoring.")
    arguments.add_argument("--data", help="data set or folder; default: the one of the settings")
    arguments.add_argument("--seeds", type=int, default=SEEDS)
    arguments.add_argument("--draws", type=int, default=drift.DRAWS, help="windows of each check")
    arguments.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    options = arguments.parse_args()
    console = plain_console(soft_wrap=False)
    reference = sources.fetch(load_settings(**report.data_setting(options.data)))
    started = time.monotonic()
    cases: list[tuple[str, str | None]] = [(name, None) for name in WITHOUT_DRIFT]
    cases += [(name, size) for name, sizes in WITH_DRIFT.items() for size in sizes]
    tasks = [(*case, seed, options.draws) for case in cases for seed in range(options.seeds)]
    with ProcessPoolExecutor(
        options.workers, initializer=_read, initargs=(reference.folder,)
    ) as pool:
        results = pool.map(_check, tasks, chunksize=options.seeds)
        checks = list(track(results, "checking", len(tasks), console=console, transient=True))
    false_alarms: dict[str, dict[str, Any]] = {}
    detections: dict[str, dict[str, dict[str, Any]]] = {}
    for number, (name, size) in enumerate(cases):
        counts = _counts(checks[number * options.seeds : (number + 1) * options.seeds])
        if size is None:
            false_alarms[name] = counts
        else:
            detections.setdefault(name, {})[size] = counts
    console.print(_false_alarms_table(reference.name, options.seeds, false_alarms))
    console.print(_detections_table(reference.name, options.seeds, detections))
    file = report.write(
        "monitor",
        {
            "data": reference.name,
            "seeds": options.seeds,
            "draws": options.draws,
            "seconds": time.monotonic() - started,
            "without": false_alarms,
            "planted": detections,
        },
    )
    console.print(f"written to {file.relative_to(file.parents[2])}")
    missed = [name for name, case in false_alarms.items() if case["alarms"] > MAX_FALSE_ALARMS]
    if missed:
        sys.exit(f"more than {MAX_FALSE_ALARMS} false alarm: {', '.join(missed)}")


def _false_alarms_table(
    data: str, seeds: int, false_alarms: Mapping[str, Mapping[str, Any]]
) -> Table:
    table = Table(title=f"{data}: false alarms in {seeds} checks without drift")
    table.add_column("Case")
    table.add_column("False alarms", justify="right")
    table.add_column("Statistics")
    for name, counts in false_alarms.items():
        table.add_row(name, str(counts["alarms"]), _names(counts["figures"]))
    return table


def _detections_table(
    data: str, seeds: int, detections: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> Table:
    sizes = list(dict.fromkeys(size for cases in detections.values() for size in cases))
    table = Table(
        title=f"{data}: alarms in {seeds} checks with planted drift, by the share of new users and "
        "the part of them with planted ratings (known: 10 % of the known users change ratings)"
    )
    table.add_column("Planted")
    for size in sizes:
        table.add_column(size, justify="right")
    table.add_column("Mostly by")
    for name, cases in detections.items():
        most = {key: max(counts["figures"][key] for counts in cases.values()) for key in KINDS}
        alarms = [str(cases[size]["alarms"]) if size in cases else "" for size in sizes]
        frequent = {key: count for key, count in most.items() if count > seeds // 2}
        table.add_row(name, *alarms, _names(frequent))
    return table


def _names(counts: Mapping[str, int]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(name for name, count in ordered if count)


if __name__ == "__main__":
    main()
